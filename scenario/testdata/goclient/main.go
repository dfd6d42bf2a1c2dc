// Command goclient gets a URL, or with "echo" speaks both ways at once over one
// HTTP/2 stream as gRPC does, with what Go has by itself.
package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {
	err := fmt.Errorf("usage: goclient [echo] URL")
	switch {
	case len(os.Args) == 2:
		err = get(os.Args[1])
	case len(os.Args) == 3 && os.Args[1] == "echo":
		err = echo(os.Args[2])
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func get(url string) error {
	resp, err := http.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	fmt.Println(resp.Proto, resp.Status)
	_, err = io.Copy(os.Stdout, resp.Body)
	return err
}

// echo sends the next line when the last one has come back.
func echo(url string) error {
	up, body := io.Pipe()
	req, err := http.NewRequest(http.MethodPost, url, up)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/grpc")
	req.Header.Set("TE", "trailers")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	fmt.Println(resp.Proto, resp.Status)
	down := bufio.NewReader(resp.Body)
	for i := range 5 {
		fmt.Fprintf(body, "message %d\n", i)
		line, err := down.ReadString('\n')
		if err != nil {
			return err
		}
		fmt.Print("back: ", line)
	}
	body.Close()
	if _, err := io.Copy(os.Stdout, down); err != nil {
		return err
	}
	fmt.Println("trailer:", resp.Trailer.Get("Grpc-Status"), resp.Trailer.Get("Grpc-Message"))
	return nil
}

package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// loadArg makes this program the client that is measured.
const loadArg = "load"

// connections is how many requests are under way at a time.
const connections = 16

// load sends requests for a while and prints how many a second were answered.
func load(args []string) int {
	f := flag.NewFlagSet(loadArg, flag.ExitOnError)
	length := f.Duration("for", time.Second, "")
	dial := f.String("dial", "", "")
	http1, http2, fresh := f.Bool("http1", false, ""), f.Bool("http2", false, ""), f.Bool("new", false, "")
	_ = f.Parse(args)
	transport := &http.Transport{MaxIdleConnsPerHost: connections, DisableKeepAlives: *fresh, TLSClientConfig: &tls.Config{}}
	transport.Protocols = new(http.Protocols)
	transport.Protocols.SetHTTP1(*http1 || *fresh)
	transport.Protocols.SetHTTP2(*http2)
	if *dial != "" {
		transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, *dial)
		}
	}
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	if err := get(client, f.Arg(0)); err != nil { // warms up, and fails early
		fmt.Fprintln(os.Stderr, "load:", err)
		return 1
	}
	var done, failed atomic.Int64
	var group sync.WaitGroup
	start := time.Now()
	for range connections {
		group.Go(func() {
			for time.Since(start) < *length {
				if get(client, f.Arg(0)) != nil {
					failed.Add(1)
					return
				}
				done.Add(1)
			}
		})
	}
	group.Wait()
	if failed.Load() > 0 {
		fmt.Fprintln(os.Stderr, "load: requests failed:", failed.Load())
		return 1
	}
	fmt.Printf("%.1f\n", float64(done.Load())/time.Since(start).Seconds())
	return 0
}

func get(client *http.Client, url string) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

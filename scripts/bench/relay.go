package main

import (
	"fmt"
	"io"
	"net"
	"os"
)

// relay copies bytes between its clients and the upstream at args[0] and looks at
// none: what a process between the two costs at the least. It prints where it listens.
func relay(args []string) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil || len(args) != 1 {
		fmt.Fprintln(os.Stderr, "relay:", err)
		return 1
	}
	fmt.Println(l.Addr())
	for {
		client, err := l.Accept()
		if err != nil {
			return 1
		}
		go forward(client, args[0])
	}
}

func forward(client net.Conn, upstream string) {
	defer client.Close()
	server, err := net.Dial("tcp", upstream)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		_, _ = io.Copy(server, client)
		_ = server.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(client, server)
}

package siege

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func init() { ops["storm"] = storm }

// storm shakes hands under new names and asks for paths that are long to read, o.N at a
// time, for a second; it says how often.
func storm(o order) answerOf {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var n atomic.Int64
	var all sync.WaitGroup
	path := "/" + strings.Repeat("a/%41%2e.//..;x=", 1<<11)
	for i := range o.N {
		all.Go(func() {
			for k := 0; ctx.Err() == nil; k++ {
				name := fmt.Sprintf("h%d-%d.%s", i, k, allowedHost)
				if k%2 == 1 {
					name = allowedHost
				}
				d := tls.Dialer{NetDialer: dialer(), Config: &tls.Config{ServerName: name, InsecureSkipVerify: true}}
				conn, err := d.DialContext(ctx, "tcp", o.Addr)
				if err != nil {
					continue
				}
				fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, name)
				_, _ = io.Copy(io.Discard, conn)
				conn.Close()
				n.Add(1)
			}
		})
	}
	all.Wait()
	return answerOf{N: int(n.Load())}
}

package worker

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bottled/ca"
	"bottled/upstreamtest"
)

// elsewhere is a listener whose connections were for an address of the internet.
type elsewhere struct {
	net.Listener
	port int
}

type redirected struct {
	net.Conn
	port int
}

func (l elsewhere) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return redirected{c, l.port}, err
}

func (c redirected) LocalAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(93, 184, 215, 14), Port: c.port}
}

// TestUpdatesUnderLoad: two hosts exchange their slots again and again while they are
// asked, and neither ever gets the other's token, nor a request without one.
func TestUpdatesUnderLoad(t *testing.T) {
	authority, err := upstreamtest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	var wrong, right, overtaken atomic.Int64
	up, err := upstreamtest.TLS("127.0.0.1:0", authority, []string{"a.example.com", "b.example.com"}, func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer token-of-"+r.Host[:1] {
			right.Add(1)
		} else {
			wrong.Add(1)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer up.Close()
	names, err := upstreamtest.NewNameServer()
	if err != nil {
		t.Fatal(err)
	}
	defer names.Close()
	for _, n := range []string{"a.example.com", "b.example.com"} {
		names.Set(n, netip.MustParseAddr("127.0.0.1"))
	}
	update := func(generation uint64) Update {
		a, b := generation%2, 1-generation%2
		route := func(host string, slot uint64) string {
			return fmt.Sprintf(`{"host": %q, "auth_scheme": "Bearer", "token_env": "EGRESS_PROXY_TOKEN_%d", "ports": [%d], "allow_private": ["127.0.0.0/8"]}`,
				host, slot, up.Addr.Port())
		}
		return Update{
			Generation: generation,
			Routes:     []byte(`{"routes": [` + route("a.example.com", a) + `,` + route("b.example.com", b) + `]}`),
			Tokens:     map[string]string{fmt.Sprint("EGRESS_PROXY_TOKEN_", a): "token-of-a", fmt.Sprint("EGRESS_PROXY_TOKEN_", b): "token-of-b"},
		}
	}
	bottleCA, err := ca.New("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	key, err := bottleCA.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	first := update(1)
	e, err := newEnforcer(Handoff{Routes: first.Routes, Generation: 1, Tokens: first.Tokens, CA: key.Reveal(), Resolver: names.Addr(), UpstreamCA: authority.PEM()}, &sockets{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go e.proxy.Serve(elsewhere{l, int(up.Addr.Port())})
	defer e.stop(t.Context())

	trust := x509.NewCertPool()
	trust.AppendCertsFromPEM(bottleCA.CertPEM())
	over := make(chan struct{})
	var clients sync.WaitGroup
	for i := range 8 {
		client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: trust}, ForceAttemptHTTP2: i%4 == 0,
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, l.Addr().String())
			},
		}}
		clients.Go(func() {
			defer client.CloseIdleConnections()
			for n := 0; ; n++ {
				select {
				case <-over:
					return
				default:
				}
				url := fmt.Sprintf("https://%c.example.com:%d/", "ab"[(i+n)%2], up.Addr.Port())
				ask := client.Get
				if n%2 == 0 {
					ask = func(url string) (*http.Response, error) {
						return client.Post(url, "text/plain", strings.NewReader("x"))
					}
				}
				resp, err := ask(url)
				if err != nil {
					t.Error(err)
					return
				}
				said, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				switch {
				case resp.StatusCode == http.StatusOK:
				case strings.Contains(string(said), "credential-missing"):
					overtaken.Add(1) // by two tables between its judgement and its credential: denied
				default:
					t.Errorf("status %d: %s", resp.StatusCode, said)
					return
				}
			}
		})
	}
	generation := uint64(2)
	for end := time.Now().Add(2 * time.Minute); (generation < 20 || right.Load() < 40) && time.Now().Before(end); generation++ {
		// A request that a table judges first has its scanner made: where that is slow, the
		// next table waits for one that got through.
		for before := right.Load(); ; {
			time.Sleep(20 * time.Millisecond)
			if right.Load() > before || time.Now().After(end) {
				break
			}
		}
		if err := e.update(update(generation)); err != nil {
			t.Error(err)
			break
		}
	}
	close(over)
	clients.Wait()
	if wrong.Load() > 0 || right.Load() < 40 {
		t.Errorf("%d requests with a wrong token, %d with the right one", wrong.Load(), right.Load())
	}
	t.Logf("%d requests over %d updates, %d overtaken", right.Load(), generation-2, overtaken.Load())
}

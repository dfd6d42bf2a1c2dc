package proxy_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"bottled/audit"
	"bottled/ca"
	"bottled/proxy"
	"bottled/routes"
	"bottled/secret"
	"bottled/upstreamtest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

const token = "ghp_R3allySecret/Token+16C7e42F292c"

var (
	magicAddr = netip.MustParseAddr("198.18.0.1")
	public    = netip.MustParseAddr("93.184.215.14") // stands for any address of the internet
)

// world is a bottle's data plane with its upstreams: real sockets on loopback.
// Names resolve as resolve says, by default to a public address; what would be
// dialled there goes to the upstream that has the port and is recorded.
type world struct {
	t         testing.TB
	server    *proxy.Server
	authority *upstreamtest.Authority
	bottleCA  *ca.Authority
	listener  *chanListener

	mu      sync.Mutex
	names   map[netip.Addr]routes.Host
	resolve map[string][]netip.Addr
	ports   map[uint16]string // port at any address: where it really listens
	dialled []netip.AddrPort
	asked   []string
	events  []audit.Event
	changed chan struct{}
	tokens  map[string]string
}

type option func(*world, *proxy.Config)

func newWorld(t testing.TB, routesJSON string, options ...option) *world {
	t.Helper()
	w := &world{
		t: t, names: map[netip.Addr]routes.Host{}, resolve: map[string][]netip.Addr{}, ports: map[uint16]string{},
		tokens: map[string]string{"EGRESS_PROXY_TOKEN_0": token}, listener: newChanListener(), changed: make(chan struct{}, 1),
	}
	var err error
	if w.authority, err = upstreamtest.NewAuthority(); err != nil {
		t.Fatal(err)
	}
	if w.bottleCA, err = ca.New("test", time.Now()); err != nil {
		t.Fatal(err)
	}
	magic, err := routes.ParseHost(routes.MagicHost)
	if err != nil {
		if a, aerr := routes.ParseAuthority(routes.MagicHost, 80); aerr == nil {
			magic = a.Host
		}
	}
	w.names[magicAddr] = magic
	cfg := proxy.Config{
		Table: w.table(routesJSON, 1), CA: w.bottleCA, Resolver: w, Dial: w.dial, Roots: w.authority.Pool, Bottle: "test", Owner: "nobody",
		HostAddrs:   func() ([]netip.Addr, error) { return []netip.Addr{netip.MustParseAddr("192.0.2.77")}, nil },
		BottleAddrs: []netip.Addr{netip.MustParseAddr("100.64.0.2")},
		Names: func(a netip.Addr) (routes.Host, bool) {
			w.mu.Lock()
			defer w.mu.Unlock()
			h, ok := w.names[a]
			return h, ok
		},
		Credential: func(_ uint64, slot string) (secret.Token, bool) {
			w.mu.Lock()
			defer w.mu.Unlock()
			v, ok := w.tokens[slot]
			if !ok {
				return secret.Token{}, false
			}
			tok, err := secret.New([]byte(v))
			return tok, err == nil
		},
		Audit:  audit.SinkFunc(w.record),
		Limits: proxy.Limits{UpstreamHandshake: time.Second, FirstByte: time.Second},
	}
	for _, o := range options {
		o(w, &cfg)
	}
	if w.server, err = proxy.New(cfg); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- w.server.Serve(w.listener) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		_ = w.server.Shutdown(ctx) // connections that tests left open are cut
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
		if n := w.server.Stats().Open; n != 0 {
			t.Errorf("%d connections are still open", n)
		}
	})
	return w
}

func (w *world) table(text string, generation uint64) *routes.Table {
	w.t.Helper()
	table, err := routes.Parse([]byte(text), generation)
	if err != nil {
		w.t.Fatal(err)
	}
	return table
}

func (w *world) record(e audit.Event) {
	w.mu.Lock()
	w.events = append(w.events, e)
	w.mu.Unlock()
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// event waits for the event that ok takes.
func (w *world) event(ok func(audit.Event) bool) audit.Event {
	w.t.Helper()
	deadline := time.After(5 * time.Second)
	for {
		w.mu.Lock()
		for _, e := range w.events {
			if ok(e) {
				w.mu.Unlock()
				return e
			}
		}
		seen := fmt.Sprintf("%+v", w.events)
		w.mu.Unlock()
		select {
		case <-w.changed:
		case <-time.After(20 * time.Millisecond):
		case <-deadline:
			w.t.Fatalf("no such event among %s", seen)
		}
	}
}

// LookupNetIP implements gate.Resolver.
func (w *world) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, host)
	name, qualified := strings.CutSuffix(host, ".")
	if !qualified {
		return nil, fmt.Errorf("%q is not fully qualified", host)
	}
	if addrs, ok := w.resolve[name]; ok {
		return addrs, nil
	}
	return []netip.Addr{public}, nil
}

func (w *world) dial(ctx context.Context, network string, addr netip.AddrPort) (net.Conn, error) {
	w.mu.Lock()
	w.dialled = append(w.dialled, addr)
	to, ok := w.ports[addr.Port()]
	w.mu.Unlock()
	if !ok {
		to = "127.0.0.1:1" // nothing listens: refused
	}
	var d net.Dialer
	return d.DialContext(ctx, network, to)
}

func (w *world) dials() []netip.AddrPort {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]netip.AddrPort(nil), w.dialled...)
}

// at makes port of every address lead to a listener.
func (w *world) at(port uint16, address string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ports[port] = address
}

// leads is where a port leads.
func (w *world) leads(port string) string {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		w.t.Errorf("port %q: %v", port, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ports[uint16(n)]
}

// upstream starts an https server for names on port 443 of the world.
func (w *world) upstream(answer http.HandlerFunc, names ...string) *upstreamtest.Server {
	w.t.Helper()
	s, err := upstreamtest.TLS("127.0.0.1:0", w.authority, names, answer)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { s.Close() })
	w.at(443, s.Addr.String())
	return s
}

// plainUpstream starts an http server on port 80 of the world.
func (w *world) plainUpstream(answer http.HandlerFunc) *upstreamtest.Server {
	w.t.Helper()
	s, err := upstreamtest.Plain("127.0.0.1:0", answer)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { s.Close() })
	w.at(80, s.Addr.String())
	return s
}

// synthetic returns the address under which the bottle knows name.
func (w *world) synthetic(name string) netip.Addr {
	a, err := routes.ParseAuthority(name, 1)
	if err != nil {
		w.t.Fatal(err)
	}
	if literal, ok := a.Host.Addr(); ok {
		return literal
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for addr, h := range w.names {
		if h == a.Host {
			return addr
		}
	}
	addr := netip.AddrFrom4([4]byte{198, 18, 1, byte(len(w.names))})
	w.names[addr] = a.Host
	return addr
}

// connect opens a connection as a program in the bottle would.
func (w *world) connect(dst netip.AddrPort) net.Conn {
	w.t.Helper()
	client, server, err := tcpPair()
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { client.Close() })
	w.listener.conns <- &redirected{server, net.TCPAddrFromAddrPort(dst)}
	return client
}

func (w *world) connectName(name string, port uint16) net.Conn {
	return w.connect(netip.AddrPortFrom(w.synthetic(name), port))
}

// tls connects and shakes hands under sni.
func (w *world) tls(sni string, port uint16, protocols ...string) *tls.Conn {
	w.t.Helper()
	c := tls.Client(w.connectName(sni, port), &tls.Config{ServerName: sni, RootCAs: w.trust(), NextProtos: protocols})
	if err := c.Handshake(); err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) trust() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(w.bottleCA.CertPEM())
	return pool
}

// client is a program in the bottle: it resolves names to synthetic addresses and
// knows nothing of a proxy.
func (w *world) client(h2 bool) *http.Client {
	tr := &http.Transport{
		DialContext: func(_ context.Context, _, addr string) (net.Conn, error) {
			host, port, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			a, err := routes.ParseAuthority(net.JoinHostPort(host, port), 1)
			if err != nil {
				return nil, err
			}
			return w.connect(netip.AddrPortFrom(w.synthetic(host), a.Port)), nil
		},
		TLSClientConfig: &tls.Config{RootCAs: w.trust()}, ForceAttemptHTTP2: h2, DisableCompression: true,
	}
	if !h2 {
		tr.Protocols = new(http.Protocols)
		tr.Protocols.SetHTTP1(true)
	}
	w.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// direct is the same program without a bottle: the control.
func (w *world) direct() *http.Client {
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableCompression: true}
	w.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// get is one GET of the bottle.
func (w *world) get(c *http.Client, url string) (*http.Response, string) {
	w.t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp, string(body)
}

// raw writes bytes to a connection and returns all that comes back until it is
// closed or quiet.
func raw(t *testing.T, c net.Conn, send string) string {
	t.Helper()
	if _, err := io.WriteString(c, send); err != nil {
		return "write: " + err.Error()
	}
	return drain(c, 2*time.Second)
}

func drain(c net.Conn, quiet time.Duration) string {
	var got bytes.Buffer
	buf := make([]byte, 32<<10)
	for {
		c.SetReadDeadline(time.Now().Add(quiet))
		n, err := c.Read(buf)
		if got.Write(buf[:n]); n > 0 {
			quiet = 150 * time.Millisecond
		}
		if err != nil {
			return got.String()
		}
	}
}

type redirected struct {
	*net.TCPConn
	local net.Addr
}

func (r *redirected) LocalAddr() net.Addr { return r.local }

func tcpPair() (client, server *net.TCPConn, err error) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	if client, err = net.DialTCP("tcp", nil, l.Addr().(*net.TCPAddr)); err != nil {
		return nil, nil, err
	}
	server, err = l.AcceptTCP()
	return client, server, err
}

type chanListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newChanListener() *chanListener {
	return &chanListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *chanListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *chanListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *chanListener) Addr() net.Addr { return &net.TCPAddr{} }

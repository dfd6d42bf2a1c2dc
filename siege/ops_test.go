package siege

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ops are what an agent can be told to do.
var ops map[string]func(order) answerOf

func init() {
	ops = map[string]func(order) answerOf{
		"get": get, "dial": dial, "socket": socketOp, "sh": sh, "keep": keep, "again": again, "serve": serveOp, "served": served,
		"relay": relay, "prober": startProber, "report": reportProber, "sweep": sweepPorts, "lookup": lookup,
		"slow": slow, "upload": upload, "hoard": hoard, "garbage": garbage, "open": open, "connect-unix": connectUnix, "unknock": release,
	}
}

func failed(err error) answerOf { return answerOf{Error: err.Error()} }

func outcome(err error) answerOf {
	if err != nil {
		return failed(err)
	}
	return answerOf{}
}

// patience bounds every order that waits for the network.
const patience = 10 * time.Second

// dialer asks the world's name server where there is no bottle to answer.
func dialer() *net.Dialer {
	d := &net.Dialer{Timeout: patience}
	if addr := os.Getenv("SIEGE_RESOLVER"); addr != "" {
		d.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "udp", addr)
		}}
	} else {
		d.Resolver = &net.Resolver{PreferGo: true}
	}
	return d
}

func newClient() *http.Client {
	return &http.Client{
		Timeout:       patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{DialContext: dialer().DialContext, ForceAttemptHTTP2: false, TLSHandshakeTimeout: patience},
	}
}

var shared = sync.OnceValue(newClient)

// get makes one request with the shared client, or, with a Target, for that target's host.
func get(o order) answerOf {
	if o.Target.Host != "" {
		o.URL = "https://" + o.Target.Host + "/"
	}
	return fetch(shared(), o)
}

func fetch(c *http.Client, o order) answerOf {
	method := http.MethodGet
	var body io.Reader
	if o.Data != "" {
		method, body = http.MethodPost, strings.NewReader(o.Data)
	}
	req, err := http.NewRequest(method, o.URL, body)
	if err != nil {
		return failed(err)
	}
	for k, v := range o.Header {
		if k == "Host" {
			req.Host = v
			continue
		}
		req.Header.Set(k, v)
	}
	resp, err := c.Do(req)
	if err != nil {
		return failed(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	a := answerOf{Status: resp.StatusCode, Body: string(text), Header: make(map[string]string)}
	for k := range resp.Header {
		a.Header[k] = resp.Header.Get(k)
	}
	if resp.TLS != nil {
		var chain strings.Builder
		for _, cert := range resp.TLS.PeerCertificates {
			_ = pem.Encode(&chain, &pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
		}
		a.Header["peer-chain"] = chain.String()
	}
	switch {
	case err != nil:
		a.Error = err.Error()
	case resp.StatusCode != http.StatusOK:
		a.Error = fmt.Sprintf("status %d: %s", resp.StatusCode, strings.TrimSpace(string(text)))
	}
	return a
}

// address is where an order goes: o.Addr, or the target's, on port o.N or the canary's.
func (o order) address(family int) string {
	if o.Addr != "" {
		return o.Addr
	}
	port := uint16(canaryPort)
	if o.N != 0 {
		port = uint16(o.N)
	}
	if family == 6 {
		return netip.AddrPortFrom(o.Target.Addr6, port).String()
	}
	return netip.AddrPortFrom(o.Target.Addr4, port).String()
}

// dial opens a connection, sends o.Data and reads what comes, until nothing does.
func dial(o order) answerOf {
	family := 4
	if strings.HasSuffix(o.Network, "6") {
		family = 6
	}
	conn, err := dialer().Dial(o.Network, o.address(family))
	if err != nil {
		return failed(err)
	}
	defer conn.Close()
	if o.Data != "" {
		if _, err := io.WriteString(conn, o.Data); err != nil {
			return failed(err)
		}
	}
	conn.SetReadDeadline(time.Now().Add(150 * time.Millisecond))
	buf := make([]byte, 4096)
	n, err := conn.Read(buf)
	if n > 0 {
		return answerOf{Body: string(buf[:n])}
	}
	return outcome(err)
}

// socketOp makes a socket of any kind and sends a canary from it: o.Network is
// "family/type/protocol" in numbers.
func socketOp(o order) answerOf {
	var family, kind, protocol int
	if _, err := fmt.Sscanf(o.Network, "%d/%d/%d", &family, &kind, &protocol); err != nil {
		return failed(err)
	}
	fd, err := unix.Socket(family, kind, protocol)
	if err != nil {
		return failed(fmt.Errorf("socket: %w", err))
	}
	defer unix.Close(fd)
	var to unix.Sockaddr
	payload := []byte("canary canary canary canary canary canary")
	switch family {
	case unix.AF_INET:
		to = &unix.SockaddrInet4{Addr: o.Target.Addr4.As4(), Port: canaryPort}
	case unix.AF_INET6:
		to = &unix.SockaddrInet6{Addr: o.Target.Addr6.As16(), Port: canaryPort}
	case unix.AF_PACKET:
		return outcome(packets(fd, o.Target.Addr4))
	}
	if protocol == unix.IPPROTO_ICMP && family == unix.AF_INET || protocol == unix.IPPROTO_ICMPV6 {
		payload = append([]byte{8, 0, 0, 0, 0, 0, 0, 1}, payload...)
		if family == unix.AF_INET6 {
			payload[0] = 128
		}
	}
	if kind == unix.SOCK_RAW {
		if sa, ok := to.(*unix.SockaddrInet6); ok {
			sa.Port = 0
		}
	}
	if kind == unix.SOCK_STREAM {
		return outcome(unix.Connect(fd, to))
	}
	if o.Data == "connected" {
		if err := unix.Connect(fd, to); err != nil {
			return failed(fmt.Errorf("connect: %w", err))
		}
		_, err := unix.Write(fd, payload)
		return outcome(err)
	}
	return outcome(unix.Sendto(fd, payload, 0, to))
}

// packets sends an IPv4 packet to the address out of every interface.
func packets(fd int, to netip.Addr) error {
	packet := append([]byte{0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 9, 8, 7}, to.AsSlice()...)
	packet = append(packet, 0, 53, 0, 53, 0, 8, 0, 0)
	interfaces, err := net.Interfaces()
	if err != nil {
		return err
	}
	var errs []error
	for _, i := range interfaces {
		errs = append(errs, unix.Sendto(fd, packet, 0, &unix.SockaddrLinklayer{
			Protocol: 0x0008, Ifindex: i.Index, Halen: 6, Addr: [8]byte{255, 255, 255, 255, 255, 255},
		}))
	}
	if len(errs) == 0 {
		return errors.New("no interface")
	}
	return errors.Join(errs...)
}

// sh runs a script and returns what it wrote.
func sh(o order) answerOf {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "bash", "-c", o.Data).CombinedOutput()
	a := answerOf{Body: string(out)}
	if err != nil {
		a.Error = fmt.Sprintf("%v: %s", err, strings.TrimSpace(string(out)))
	}
	return a
}

// kept are connections that stay open from one order to the next.
var kept = make(map[string]*http.Client)

// keep makes a request with a client of its own, whose one connection stays open.
func keep(o order) answerOf {
	c := newClient()
	tr := c.Transport.(*http.Transport)
	dialled := 0
	base := tr.DialContext
	tr.MaxConnsPerHost = 1
	tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if dialled++; dialled > 1 {
			return nil, errors.New("the connection that was kept is closed")
		}
		return base(ctx, network, addr)
	}
	if o.Network == "h2" {
		tr.ForceAttemptHTTP2 = true
		tr.TLSClientConfig = &tls.Config{NextProtos: []string{"h2"}}
	}
	kept[o.ID] = c
	return fetch(c, o)
}

// again makes another request on the same connection and no other.
func again(o order) answerOf {
	c, ok := kept[o.ID]
	if !ok {
		return failed(errors.New("nothing was kept under this name"))
	}
	return fetch(c, o)
}

// listeners are servers of the agent.
var listening = make(map[string]*canary)

// serveOp listens, and counts who connects.
func serveOp(o order) answerOf {
	c, err := newCanary(o.Addr, "hello from a neighbour\n")
	if err != nil {
		return failed(err)
	}
	listening[o.ID] = c
	return answerOf{Body: c.addr.String()}
}

func served(o order) answerOf {
	c, ok := listening[o.ID]
	if !ok {
		return failed(errors.New("no such server"))
	}
	return answerOf{N: int(c.calls.Load())}
}

// relay listens on loopback and passes everything on to o.Target, or o.Addr.
func relay(o order) answerOf {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return failed(err)
	}
	to := o.address(4)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				onward, err := dialer().Dial("tcp", to)
				if err != nil {
					return
				}
				defer onward.Close()
				go func() { _, _ = io.Copy(onward, conn) }()
				_, _ = io.Copy(conn, onward)
			}()
		}
	}()
	return answerOf{Body: l.Addr().String()}
}

// sweepPorts connects to ports of the target and says how many took the connection.
func sweepPorts(o order) answerOf {
	n := 0
	var last error
	for port := 1; port <= 65535; port++ {
		if port > 1100 && port%o.N != 0 && port != 65535 {
			continue
		}
		conn, err := net.DialTimeout("tcp", netip.AddrPortFrom(o.Target.Addr4, uint16(port)).String(), patience)
		if err != nil {
			last = fmt.Errorf("port %d: %w", port, err)
			continue
		}
		n++
		conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}
	a := outcome(last)
	a.N = n
	return a
}

func lookup(o order) answerOf {
	addrs, err := dialer().Resolver.LookupHost(context.Background(), o.Addr)
	if err != nil {
		return failed(err)
	}
	return answerOf{Body: strings.Join(addrs, " ")}
}

func open(o order) answerOf {
	f, err := os.Open(o.Addr)
	if err != nil {
		return failed(err)
	}
	defer f.Close()
	text := make([]byte, 64)
	n, err := f.ReadAt(text, int64(o.N))
	if n > 0 {
		return answerOf{Body: string(text[:n])}
	}
	return outcome(err)
}

func connectUnix(o order) answerOf {
	conn, err := net.DialTimeout("unix", o.Addr, time.Second)
	if err != nil {
		return failed(err)
	}
	return outcome(conn.Close())
}

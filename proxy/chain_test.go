package proxy_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"bottled/audit"
	"bottled/dlp"
	"bottled/proxy"
	"bottled/routes"
)

// external is a real proxy, a process of the test's own on loopback.
type external struct {
	port, tlsPort uint16
	dir           string
	log           string // path of its log of requests
	ca            *x509.CertPool
}

func (e *external) logged(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(e.log)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// freePort is a port that was free a moment ago.
func freePort(t *testing.T) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort().Port()
}

// run starts a proxy in a mount namespace of its own, in which names are those of
// the test, and waits until it listens.
func (e *external) run(t *testing.T, argv ...string) {
	t.Helper()
	e.file(t, "hosts", "127.0.0.1 localhost api.example.com db.example.com pass.example.com\n")
	script := `mount --bind "$1" /etc/hosts && shift && exec "$@"`
	cmd := exec.Command("unshare", append([]string{"-m", "sh", "-c", script, "sh", filepath.Join(e.dir, "hosts")}, argv...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	out := e.file(t, "out", "")
	f, err := os.OpenFile(out, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd.Stdout, cmd.Stderr = f, f
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
	})
	for range 400 {
		c, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", e.port))
		if err == nil {
			c.Close()
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	text, _ := os.ReadFile(out)
	t.Fatalf("%s does not listen: %s", argv[0], text)
}

func (e *external) file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(e.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// home is a directory that the user of the proxy may write to.
func home(t *testing.T, name string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "chain")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	return dir
}

// tinyproxy is a plain proxy: it passes what is in a tunnel on as it is.
func tinyproxy(t *testing.T, more string) *external {
	t.Helper()
	e := &external{port: freePort(t), dir: home(t, "nobody")}
	e.log = filepath.Join(e.dir, "log")
	conf := e.file(t, "conf", fmt.Sprintf("User nobody\nPort %d\nListen 127.0.0.1\nTimeout 60\nAllow 127.0.0.1\nMaxClients 50\nLogLevel Info\nLogFile \"%s\"\n%s", e.port, e.log, more))
	e.run(t, "tinyproxy", "-d", "-c", conf)
	return e
}

// squid is a proxy that intercepts TLS with an authority of its own, and is spoken
// to in the clear or, on tlsPort, in TLS.
func squid(t *testing.T, upstreams []byte) *external {
	t.Helper()
	e := &external{port: freePort(t), tlsPort: freePort(t), dir: home(t, "proxy"), ca: x509.NewCertPool()}
	e.log = filepath.Join(e.dir, "access.log")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "an intercepting proxy"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	e.ca.AppendCertsFromPEM([]byte(cert))
	both := e.file(t, "ca.pem", cert+string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})))
	db := filepath.Join(e.dir, "certs")
	if out, err := exec.Command("/usr/lib/squid/security_file_certgen", "-c", "-s", db, "-M", "4MB").CombinedOutput(); err != nil {
		t.Fatalf("certgen: %v: %s", err, out)
	}
	if out, err := exec.Command("chown", "-R", "proxy:", db).CombinedOutput(); err != nil {
		t.Fatalf("chown: %v: %s", err, out)
	}
	conf := e.file(t, "conf", fmt.Sprintf(`http_port 127.0.0.1:%d ssl-bump tls-cert=%s generate-host-certificates=on dynamic_cert_mem_cache_size=4MB
https_port 127.0.0.1:%d tls-cert=%s
sslcrtd_program /usr/lib/squid/security_file_certgen -s %s -M 4MB
sslcrtd_children 2
tls_outgoing_options cafile=%s
ssl_bump bump all
http_access allow all
access_log stdio:%s
logfile_rotate 0
cache_log %s/cache.log
cache deny all
pid_filename none
coredump_dir %s
visible_hostname squid
shutdown_lifetime 0 seconds
pinger_enable off
`, e.port, both, e.tlsPort, both, db, e.file(t, "upstreams.pem", string(upstreams)), e.log, e.dir, e.dir))
	e.run(t, "squid", "-N", "-f", conf)
	return e
}

// chained sends everything through e.
func chained(e *external, secure bool) option {
	return func(w *world, c *proxy.Config) {
		port := e.port
		if secure {
			port = e.tlsPort
		}
		a, err := routes.ParseAuthority(fmt.Sprint("127.0.0.1:", port), 0)
		if err != nil {
			panic(err)
		}
		w.at(port, a.String())
		c.Upstream = &proxy.Upstream{TLS: secure, Authority: a, Roots: e.ca}
	}
}

// indirect checks that nothing was dialled but the proxy, and no name looked up.
func (w *world) indirect(port uint16) {
	w.t.Helper()
	want := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)
	dials := w.dials()
	if len(dials) == 0 {
		w.t.Error("nothing was dialled")
	}
	for _, d := range dials {
		if d != want {
			w.t.Errorf("%v was dialled; the proxy is %v", d, want)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.asked) > 0 {
		w.t.Errorf("looked up: %q", w.asked)
	}
}

// onPorts is a table for upstreams on the ports of the test.
func onPorts(https, http, tcp uint16) string {
	return fmt.Sprintf(`{"routes": [{"host": "api.example.com", "ports": [%d, %d]}, {"host": "db.example.com", "ports": [%d], "protocol": "tcp"}, {"host": "10.9.8.7"},
		{"host": "pass.example.com", "ports": [%d], "protocol": "tls-passthrough"}]}`, https, http, tcp, https)
}

// Requests in TLS and in the clear, WebSockets and opaque streams go through a
// plain proxy, and nothing goes another way.
func TestChainPlain(t *testing.T) {
	e := tinyproxy(t, "")
	greeter, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer greeter.Close()
	go func() {
		for {
			c, err := greeter.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, "SSH-2.0-server\r\n") // at once: it comes with the answer to the CONNECT
			line, _ := bufio.NewReader(c).ReadString('\n')
			io.WriteString(c, "got "+line)
			c.Close()
		}
	}()
	tcp := greeter.Addr().(*net.TCPAddr).AddrPort().Port()
	first := newWorld(t, bareAPI)
	secure := first.upstream(echoHost, "api.example.com", "pass.example.com")
	plain := first.plainUpstream(echoHost)
	w := newWorld(t, onPorts(secure.Addr.Port(), plain.Addr.Port(), tcp), chained(e, false), func(_ *world, c *proxy.Config) { c.Roots = first.authority.Pool() })
	for _, h2 := range []bool{false, true} {
		for scheme, port := range map[string]string{"https": secure.Port(), "http": plain.Port()} {
			if resp, body := w.get(w.client(h2), scheme+"://api.example.com:"+port+"/a?b"); resp.StatusCode != 200 || body != "api.example.com:"+port {
				t.Errorf("%s: %d %q", scheme, resp.StatusCode, body)
			}
			if log := e.logged(t); !strings.Contains(log, "CONNECT api.example.com:"+port) {
				t.Errorf("the proxy's log: %s", log)
			}
		}
	}
	c := w.connectName("db.example.com", tcp)
	in := bufio.NewReader(c)
	if line, err := in.ReadString('\n'); line != "SSH-2.0-server\r\n" {
		t.Errorf("opaque: %q, %v", line, err)
	}
	io.WriteString(c, "hello\n")
	if line, err := in.ReadString('\n'); line != "got hello\n" {
		t.Errorf("opaque: %q, %v", line, err)
	}
	c.Close()
	pass := tls.Client(w.connectName("pass.example.com", secure.Addr.Port()), &tls.Config{ServerName: "pass.example.com", RootCAs: first.authority.Pool()})
	if err := pass.Handshake(); err != nil {
		t.Errorf("passed through, to the upstream's own certificate: %v", err)
	}
	pass.Close()
	w.indirect(e.port)
	if got := len(secure.Requests()) + len(plain.Requests()); got != 4 {
		t.Errorf("%d requests reached the upstreams", got)
	}
	ev := w.event(func(e audit.Event) bool { return e.Scheme == "https" })
	if ev.Dialled.Port() != e.port || ev.Verdict != audit.Allow {
		t.Errorf("%+v", ev)
	}
	// An address that the table names is still no private one, also for the proxy.
	if resp, body := w.get(w.client(false), "http://10.9.8.7/"); resp.StatusCode != 403 || !strings.Contains(body, "address-not-allowed") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

func echoHost(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, r.Host) }

// A proxy that intercepts: its authority is trusted through it, and only where the
// manifest says so. Scanning and the credential work as without it.
func TestChainIntercepting(t *testing.T) {
	first := newWorld(t, bareAPI)
	up := first.upstream(echoHost, "api.example.com")
	e := squid(t, first.authority.PEM())
	url := "https://api.example.com:" + up.Port() + "/a?b"
	through := func(secure bool, roots *x509.CertPool, more ...option) *world {
		return newWorld(t, onPorts(up.Addr.Port(), 1, 2), append([]option{chained(e, secure), func(_ *world, c *proxy.Config) { c.Roots = roots }}, more...)...)
	}
	for _, secure := range []bool{false, true} {
		roots := e.ca
		if secure {
			roots = first.authority.Pool() // that port does not intercept
		}
		w := through(secure, roots, screened(routes.DLP{}, dlp.Limits{}))
		if resp, body := w.get(w.client(true), url); resp.StatusCode != 200 || body != "api.example.com:"+up.Port() {
			t.Fatalf("in TLS %v: %d %s", secure, resp.StatusCode, body)
		}
		before := len(up.Requests())
		if err := leave(w, false, request("POST", url, strings.NewReader(canary)))(t); err == nil || strings.Contains(fmt.Sprint(up.Requests()[before:]), canary) {
			t.Errorf("in TLS %v: the canary left", secure)
		}
		if secure {
			w.indirect(e.tlsPort)
		} else {
			w.indirect(e.port)
		}
	}
	if log := e.logged(t); !strings.Contains(log, "CONNECT api.example.com:"+up.Port()) || !strings.Contains(log, "GET "+url[:len(url)-2]) {
		t.Errorf("it did not intercept: %s", log)
	}
	// Without its authority, neither it nor what it presents is believed.
	w := through(false, first.authority.Pool())
	if resp, body := w.get(w.client(false), url); resp.StatusCode != 502 || !strings.Contains(body, "upstream-certificate") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	w = through(true, first.authority.Pool(), func(_ *world, c *proxy.Config) { c.Upstream.Roots = first.authority.Pool() })
	if resp, body := w.get(w.client(false), url); resp.StatusCode != 502 || !strings.Contains(body, "its certificate does not verify") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	// Trusted on that leg only: a bottle without the proxy does not believe it.
	w = newWorld(t, onPorts(up.Addr.Port(), 1, 2))
	w.at(up.Addr.Port(), up.Addr.String())
	if resp, body := w.get(w.client(false), url); resp.StatusCode != 502 || !strings.Contains(body, "upstream-certificate") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

// What goes wrong with the proxy is a 502 that says so, and nothing goes direct.
func TestChainFailsClosed(t *testing.T) {
	answering := func(answer string) *external {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				http.ReadRequest(bufio.NewReader(c))
				io.WriteString(c, answer)
				c.Close()
			}
		}()
		return &external{port: l.Addr().(*net.TCPAddr).AddrPort().Port(), ca: x509.NewCertPool()}
	}
	for _, tc := range []struct {
		name string
		e    *external
		says string
	}{
		{"down", &external{port: freePort(t), ca: x509.NewCertPool()}, "no connection to it"},
		{"asks for a password", tinyproxy(t, "BasicAuth user secret\n"), "407"},
		{"refuses", answering("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"), "answered 403"},
		{"no HTTP", answering("SSH-2.0-x\r\n"), "not one of HTTP/1"},
		{"closes", answering(""), "not one of HTTP/1"},
		{"too long", answering("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", 70<<10)), "64 KiB"},
	} {
		w := newWorld(t, bareAPI, chained(tc.e, false))
		up := w.upstream(echoHost, "api.example.com")
		resp, body := w.get(w.client(false), api)
		if resp.StatusCode != 502 || !strings.Contains(body, `"upstream-proxy"`) || !strings.Contains(body, tc.says) {
			t.Errorf("%s: %d %s", tc.name, resp.StatusCode, body)
		}
		if up.Opened() != 0 {
			t.Errorf("%s: the upstream was reached directly", tc.name)
		}
		w.indirect(tc.e.port)
	}
	meta := &external{port: 80}
	w := newWorld(t, bareAPI, func(w *world, c *proxy.Config) {
		a, _ := routes.ParseAuthority("169.254.169.254:80", 0)
		c.Upstream = &proxy.Upstream{Authority: a}
		w.at(meta.port, "127.0.0.1:1")
	})
	if resp, body := w.get(w.client(false), api); resp.StatusCode != 403 || len(w.dials()) > 0 {
		t.Errorf("a metadata service as the proxy: %d %s, dialled %v", resp.StatusCode, body, w.dials())
	}
}

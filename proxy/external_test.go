package proxy_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

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
func squid(t *testing.T, upstreams []byte, access string) *external {
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
%s
access_log stdio:%s
logfile_rotate 0
cache_log %s/cache.log
cache deny all
pid_filename none
coredump_dir %s
visible_hostname squid
shutdown_lifetime 0 seconds
pinger_enable off
`, e.port, both, e.tlsPort, both, db, e.file(t, "upstreams.pem", string(upstreams)), access, e.log, e.dir, e.dir))
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

// on is an address of the proxy.
func (e *external) on(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)
}

// indirect checks that nothing was dialled but the proxy, and no name looked up.
func (w *world) indirect(want netip.AddrPort) {
	w.t.Helper()
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

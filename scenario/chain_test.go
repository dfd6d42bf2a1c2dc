package scenario

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// chained is a real proxy that wants a password, and has names of its own.
type chained struct {
	addr string // of loopback, host:port
	log  string
	stop func()
}

const proxyPassword = "pr0xy-P4ssw0rd"

// tinyproxy starts one that knows where api.example.com is.
func tinyproxy(t *testing.T, api netip.Addr) *chained {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &chained{addr: l.Addr().String()}
	_, port, _ := net.SplitHostPort(p.addr)
	l.Close()
	dir := publicDir(t)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	p.log = filepath.Join(dir, "log")
	put := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cmd := exec.Command("unshare", "-m", "sh", "-c", `mount --bind "$0" /etc/hosts && exec tinyproxy -d -c "$1"`,
		put("hosts", api.String()+" api.example.com\n"),
		put("conf", fmt.Sprintf("User nobody\nPort %s\nListen 127.0.0.1\nAllow 127.0.0.1\nBasicAuth ci %s\nLogLevel Info\nLogFile \"%s\"\n", port, proxyPassword, p.log)))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.stop = func() { cmd.Process.Kill(); cmd.Wait() }
	t.Cleanup(p.stop)
	eventually(t, "tinyproxy listens", 10*time.Second, func() error {
		c, err := net.Dial("tcp", p.addr)
		if err == nil {
			c.Close()
		}
		return err
	})
	return p
}

// joined reports whether the proxy made a tunnel to the api.
func (p *chained) joined(t *testing.T) {
	t.Helper()
	if text, err := os.ReadFile(p.log); err != nil || !strings.Contains(string(text), "CONNECT api.example.com:443") {
		t.Errorf("the proxy's log: %q, %v", text, err)
	}
}

const get = "curl -sS -w ' %{http_code}\\n' https://api.example.com/x"

// TestEverythingGoesThroughTheUpstreamProxy of a manifest: with the password, with a
// wrong one, and when the proxy is gone.
func TestEverythingGoesThroughTheUpstreamProxy(t *testing.T) {
	w := newWorld(t)
	up := w.https(t, "api.example.com", greet)
	p := tinyproxy(t, up.Addr.Addr())
	w.names.Set("api.example.com") // whoever asks here gets no answer
	with := func(password string) bottle {
		return bottle{
			manifest: w.manifest("- {host: api.example.com}\n") + "upstream_proxy: {url: \"http://" + p.addr + "\", auth: {username: ci, token_ref: PROXY_PW}}\n",
			env:      []string{"PROXY_PW=" + password},
		}
	}
	if r := w.sh(t, with(proxyPassword), get+"; env"); !strings.Contains(r.stdout, greeting) || !strings.Contains(r.stdout, " 200") || strings.Contains(r.stdout, proxyPassword) {
		t.Fatalf("%v", r)
	}
	p.joined(t)
	before := up.Opened()
	if r := w.sh(t, with("wrong-password"), get); !strings.Contains(r.stdout, `"reason":"upstream-proxy-auth"`) || !strings.Contains(r.stdout, " 502") {
		t.Errorf("with a wrong password: %v", r)
	}
	if r := w.sh(t, with(""), get); r.code == 0 || !strings.Contains(r.stderr, "PROXY_PW") {
		t.Errorf("without a password: %v", r)
	}
	p.stop()
	if r := w.sh(t, with(proxyPassword), get); !strings.Contains(r.stdout, `"reason":"upstream-proxy"`) || !strings.Contains(r.stdout, " 502") {
		t.Errorf("without its proxy: %v", r)
	}
	if up.Opened() != before {
		t.Error("the upstream was reached directly")
	}
}

// TestTheProxyOfTheHost is gone through by a bottle whose manifest says nothing of it.
func TestTheProxyOfTheHost(t *testing.T) {
	dir, err := os.MkdirTemp("/run", "bottled-scenario-") // a policy is not read from below /tmp
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	policy, password := filepath.Join(dir, "policy.yaml"), filepath.Join(dir, "password")
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(policy, "version: 1\n")
	write(password, proxyPassword+"\n")
	w := newWorldWith(t, nil, "--policy", policy)
	up := w.https(t, "api.example.com", greet)
	p := tinyproxy(t, up.Addr.Addr())
	b := bottle{manifest: w.manifest("- {host: api.example.com, allow_private: [127.0.0.0/8]}\n")}
	if r := w.sh(t, b, get); !strings.Contains(r.stdout, greeting) {
		t.Fatalf("the control, without a proxy: %v", r)
	}
	before := up.Opened()
	w.names.Set("api.example.com")
	write(policy, "version: 1\nupstream_proxy: {url: \"http://"+p.addr+"\", auth: {username: ci, token_ref: \"file:"+password+"\"}}\n")
	if err := w.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the policy is read again", 10*time.Second, func() error {
		if !strings.Contains(string(w.said()), "policy reloaded") {
			return fmt.Errorf("%s", w.said())
		}
		return nil
	})
	b.flags = []string{"--name", "through", "--detach"}
	if r := w.run(t, b, "sleep", "1000"); r.code != 0 {
		t.Fatal(r)
	}
	if r := w.client(t, nil, "exec", "through", "--", "sh", "-c", get); !strings.Contains(r.stdout, greeting) || !strings.Contains(r.stdout, " 200") {
		t.Errorf("%v", r)
	}
	p.joined(t)
	if up.Opened() == before {
		t.Error("the upstream was not reached")
	}
	r := w.client(t, nil, "inspect", "through")
	if want := "through    http://" + p.addr + ", as the policy says, with a credential (Basic)\n"; !strings.Contains(r.stdout, want) || strings.Contains(r.stdout, proxyPassword) || strings.Contains(r.stdout, password) {
		t.Errorf("inspect does not say %q: %v", want, r)
	}
	b.flags = nil
	b.manifest += "upstream_proxy: {url: \"http://127.0.0.1:1\"}\n"
	if r := w.sh(t, b, get); r.code == 0 || !strings.Contains(r.stderr, policy+":2: upstream_proxy: bottles of this host go through http://"+p.addr) {
		t.Errorf("with a proxy of its own: %v", r)
	}
	if r := w.client(t, nil, "stop", "through"); r.code != 0 {
		t.Error(r)
	}
	for _, file := range []string{w.log, w.audit} {
		if text, err := os.ReadFile(file); err != nil || strings.Contains(string(text), proxyPassword) {
			t.Errorf("%s: %v: %s", file, err, text)
		}
	}
}

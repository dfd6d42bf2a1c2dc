package scenario

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// spilled has the shape of a credential, and is none.
const spilled = "ghp_x7Kp2mQ9vR4tY8wZ1nB6cD3fG5hJ0L4MNObN"

func swallow(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }

// TestWhatLeavesIsScanned sends a credential out of a bottle: of the shape of one,
// and the bottle's own, which no program in it knows.
func TestWhatLeavesIsScanned(t *testing.T) {
	w := newWorld(t)
	up := w.https(t, "api.example.com", swallow)
	loose := w.https(t, "loose.example.com", swallow)
	b := bottle{
		manifest: w.manifest(`
- {host: api.example.com, allow_private: [127.0.0.0/8], auth: {scheme: Bearer, token_ref: API_TOKEN}}
- {host: loose.example.com, allow_private: [127.0.0.0/8], dlp: {mode: warn}}
`), env: []string{"API_TOKEN=" + token},
	}
	r := w.sh(t, b, fmt.Sprintf(`
		curl -sS -d 'note=%[1]s' https://api.example.com/
		curl -sS -H 'X-Note: %[1]s' https://api.example.com/
		curl -sS -d 'the key is %[2]s' https://loose.example.com/
		curl -sS -o /dev/null -w 'benign %%{http_code}\n' -d 'note=nothing' https://api.example.com/
		curl -sS -o /dev/null -w 'warned %%{http_code}\n' -d 'note=%[1]s' https://loose.example.com/`, spilled, token))
	for what, count := range map[string]int{`"tool":"pipelock-block"`: 3, `"rule":"github-pat"`: 2, `"rule":"secret:EGRESS_PROXY_TOKEN_0"`: 1, "benign 200": 1, "warned 200": 1} {
		if got := strings.Count(r.stdout, what); got != count {
			t.Errorf("%d times %s, want %d, in %v", got, what, count, r)
		}
	}
	for _, s := range []string{spilled, token} {
		if strings.Contains(r.stdout, s) {
			t.Errorf("%s is shown: %v", s, r)
		}
	}
	for _, r := range up.Requests() {
		if text := string(r.Body) + r.Header.Get("X-Note"); strings.Contains(text, spilled) {
			t.Errorf("it left: %s %s %q", r.Method, r.Target, text)
		}
	}
	for _, want := range []string{`"rule":"github-pat"`, `"rule":"secret:EGRESS_PROXY_TOKEN_0"`, `"where":"header X-Note"`, `"fingerprint":"`} {
		eventually(t, "the audit log has "+want, 10*time.Second, func() error {
			text, err := os.ReadFile(w.audit)
			if err == nil && !strings.Contains(string(text), want) {
				err = fmt.Errorf("no %s in %s", want, text)
			}
			if strings.Contains(string(text), spilled) || strings.Contains(string(text), token) {
				t.Errorf("the match is in the audit log: %s", text)
			}
			return err
		})
	}
	left := loose.Requests()
	if len(left) == 0 || string(left[len(left)-1].Body) != "note="+spilled {
		t.Errorf("the route that warns did not pass it: %+v", left)
	}
	for _, r := range left {
		if strings.Contains(string(r.Body), token) {
			t.Error("the bottle's own token left")
		}
	}
}

// TestEverythingGoesThroughTheUpstreamProxy has a real one, and then none.
func TestEverythingGoesThroughTheUpstreamProxy(t *testing.T) {
	w := newWorld(t)
	up := w.https(t, "api.example.com", greet)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	proxy := l.Addr().String()
	_, port, _ := net.SplitHostPort(proxy)
	l.Close()
	dir := publicDir(t)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	put := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	log := filepath.Join(dir, "log")
	// It has names of its own: those of the bottle's upstreams are looked up by nobody else.
	cmd := exec.Command("unshare", "-m", "sh", "-c", `mount --bind "$0" /etc/hosts && exec tinyproxy -d -c "$1"`,
		put("hosts", up.Addr.Addr().String()+" api.example.com\n"),
		put("conf", fmt.Sprintf("User nobody\nPort %s\nListen 127.0.0.1\nAllow 127.0.0.1\nLogLevel Info\nLogFile \"%s\"\n", port, log)))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := func() { cmd.Process.Kill(); cmd.Wait() }
	defer stop()
	for range 200 {
		if c, err := net.Dial("tcp", proxy); err == nil {
			c.Close()
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	w.names.Set("api.example.com") // whoever asks here gets no answer
	b := bottle{manifest: w.manifest("- {host: api.example.com}\n") + "upstream_proxy: {url: \"http://" + proxy + "\"}\n"}
	const get = "curl -sS -w ' %{http_code}\\n' https://api.example.com/x"
	if r := w.sh(t, b, get); !strings.Contains(r.stdout, greeting) || !strings.Contains(r.stdout, " 200") {
		t.Fatalf("%v", r)
	}
	if text, err := os.ReadFile(log); err != nil || !strings.Contains(string(text), "CONNECT api.example.com:443") {
		t.Errorf("the proxy's log: %q, %v", text, err)
	}
	before := up.Opened()
	stop()
	if r := w.sh(t, b, get); !strings.Contains(r.stdout, `"reason":"upstream-proxy"`) || !strings.Contains(r.stdout, " 502") {
		t.Errorf("without its proxy: %v", r)
	}
	if up.Opened() != before {
		t.Error("the upstream was reached directly")
	}
}

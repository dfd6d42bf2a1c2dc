package bottle

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"bottled/trust"
	"bottled/upstreamtest"
)

func authorityPEM(t *testing.T) []byte {
	t.Helper()
	a, err := upstreamtest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	return a.PEM()
}

// outside is a host whose operator holds tokens, and two upstreams that the host's
// own authorities vouch for: a token that the operator holds goes nowhere else.
type outside struct {
	dir       string // of the operator's tokens
	authority *upstreamtest.Authority
	api, evil *upstreamtest.Server
	names     *upstreamtest.NameServer
	log       journal // of the daemon, at its most talkative
}

// journal keeps what is written to it.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

const (
	apiHost  = "api.example.com"
	evilHost = "evil.example.org"
	heldText = "0perator-t0ken"
)

func newOutside(t *testing.T) *outside {
	t.Helper()
	// Not below /tmp, which a bottle has of its own.
	dir, err := os.MkdirTemp("/var/lib", "bottled-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	authority, err := upstreamtest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	w := &outside{dir: dir, authority: authority}
	w.put(t, "roots", string(authority.PEM()), 0o600)
	hostRoots = func(*trust.Host) (*os.File, error) { return os.Open(filepath.Join(dir, "roots")) }
	t.Cleanup(func() { hostRoots = (*trust.Host).Roots })
	if w.names, err = upstreamtest.NewNameServer(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.names.Close() })
	start := func(name string) *upstreamtest.Server {
		s, err := upstreamtest.TLS("127.0.0.1:0", authority, []string{name}, func(http.ResponseWriter, *http.Request) {})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		w.names.Set(name, netip.MustParseAddr("127.0.0.1"))
		return s
	}
	w.api, w.evil = start(apiHost), start(evilHost)
	w.put(t, "token", heldText+"\n", 0o600)
	return w
}

func (w *outside) put(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// ref is the token in a file.
func (w *outside) ref() string { return "file:" + filepath.Join(w.dir, "token") }

// held is a policy that lends a token to somebody, for the api alone.
func (w *outside) held(ref string, uid uint32) string {
	return fmt.Sprintf("tokens: [{ref: %q, users: [%d], hosts: [\"%s:%s\"]}]\n", ref, uid, apiHost, w.api.Port())
}

// manifest has a route to a host with a token.
func (w *outside) manifest(host, port, ref string) string {
	return fmt.Sprintf("version: 1\ndefaults: false\negress_proxy:\n  routes:\n    - {host: %s, ports: [%s], allow_private: [127.0.0.0/8], auth: {scheme: Bearer, token_ref: %q}}\n", host, port, ref)
}

func (w *outside) toAPI(ref string) string { return w.manifest(apiHost, w.api.Port(), ref) }

func (w *outside) manager(t *testing.T, policy string) *Manager {
	t.Helper()
	return newManager(t, func(o *Options) {
		o.Policy, o.Resolver = floor(t, policy), w.names.Addr()
		o.Log = slog.New(slog.NewTextHandler(io.MultiWriter(testWriter{t}, &w.log), &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
}

// got are the credentials that an upstream received since the last call.
func got(s *upstreamtest.Server, from int) []string {
	var all []string
	for _, r := range s.Requests()[from:] {
		all = append(all, r.Header.Get("Authorization"))
	}
	return all
}

// inside runs a command in a bottle and returns what it wrote.
func inside(t *testing.T, m *Manager, ref string, argv ...string) string {
	t.Helper()
	r, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	id, _, err := m.Exec(t.Context(), root, ref, ExecOptions{Command: argv, Stdio: Stdio{Streams: [3]*os.File{nil, out, nil}}})
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.WaitExec(t.Context(), root, ref, id); err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// call makes one request to a host from inside and returns its status.
func call(t *testing.T, m *Manager, ref, host, port string) int {
	t.Helper()
	text := inside(t, m, ref, "curl", "-sS", "-m", "60", "-o", "/dev/null", "-w", "%{http_code}", "https://"+host+":"+port+"/")
	status, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("curl wrote %q", text)
	}
	return status
}

// TestATokenIsRenewedBeforeItEnds uses a token that lives for some seconds, longer
// than that; then its source dies, and the route with it.
func TestATokenIsRenewedBeforeItEnds(t *testing.T) {
	w := newOutside(t)
	w.put(t, "mint", `#!/bin/sh
test -e "$(dirname "$0")/broken" && { echo sorry; exit 1; }
echo x >> "$(dirname "$0")/count"
echo "minted-$(wc -l < "$(dirname "$0")/count")"
date -u -d '+5 seconds' +%Y-%m-%dT%H:%M:%SZ
`, 0o700)
	ref := "command:" + filepath.Join(w.dir, "mint")
	m := w.manager(t, w.held(ref, someUser.UID))
	info, err := sleeper(t, m, someUser, "", w.toAPI(ref))
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(250 * time.Millisecond) {
		if status := call(t, m, info.ID, apiHost, w.api.Port()); status != http.StatusOK {
			t.Fatalf("status %d while the token was renewed", status)
		}
	}
	seen := make(map[string]bool)
	for _, value := range got(w.api, 0) {
		seen[value] = true
		if !strings.HasPrefix(value, "Bearer minted-") {
			t.Errorf("the upstream got %q", value)
		}
	}
	if len(seen) < 3 {
		t.Errorf("in two lifetimes the upstream got %v", seen)
	}
	if i := m.List(someUser, false); len(i) != 1 || i[0].Generation != 1 {
		t.Errorf("a renewal changed the generation: %+v", i)
	}

	w.put(t, "broken", "", 0o600)
	time.Sleep(6 * time.Second)
	before := len(w.api.Requests())
	if status := call(t, m, info.ID, apiHost, w.api.Port()); status != http.StatusBadGateway {
		t.Errorf("status %d after the token ended; want 502", status)
	}
	if sent := got(w.api, before); len(sent) != 0 {
		t.Errorf("after the token ended the upstream got %q", sent)
	}
	if !strings.Contains(w.log.String(), "cannot renew a token") {
		t.Error("the log does not say that the token was not renewed")
	}

	if err := os.Remove(filepath.Join(w.dir, "broken")); err != nil {
		t.Fatal(err)
	}
	status := 0
	for range 40 {
		if status = call(t, m, info.ID, apiHost, w.api.Port()); status == http.StatusOK {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if status != http.StatusOK {
		t.Errorf("status %d after the source came back", status)
	}

	m.SetPolicy(floor(t, ""))
	time.Sleep(6 * time.Second)
	if status := call(t, m, info.ID, apiHost, w.api.Port()); status != http.StatusBadGateway {
		t.Errorf("status %d after the operator took the token away and it ended; want 502", status)
	}
}

// TestTheNextDaemonGoesOnRenewing restarts the daemon within a token's life.
func TestTheNextDaemonGoesOnRenewing(t *testing.T) {
	w := newOutside(t)
	w.put(t, "mint", "#!/bin/sh\necho minted-$$\ndate -u -d '+4 seconds' +%Y-%m-%dT%H:%M:%SZ\n", 0o700)
	ref := "command:" + filepath.Join(w.dir, "mint")
	m, err := NewManager(t.Context(), Options{
		Run: runDir(t), Instance: HostInstance, Resolver: w.names.Addr(), Policy: floor(t, w.held(ref, someUser.UID)),
	})
	if err != nil {
		t.Fatal(err)
	}
	info, err := sleeper(t, m, someUser, "", w.toAPI(ref))
	if err != nil {
		t.Fatal(err)
	}
	next := restart(t, m)
	defer next.Stop(context.Background(), root, info.ID, 0)
	time.Sleep(5 * time.Second)
	if status := call(t, next, info.ID, apiHost, w.api.Port()); status != http.StatusOK {
		t.Errorf("status %d; want 200 with a token that the next daemon fetched", status)
	}
}

func TestATokenThatCannotBeHadStopsTheLaunch(t *testing.T) {
	w := newOutside(t)
	for name, script := range map[string]string{
		"fails":    "#!/bin/sh\necho " + heldText + " >&2\nexit 3\n",
		"is empty": "#!/bin/sh\necho\n",
		"is dead":  "#!/bin/sh\necho " + heldText + "\necho 2001-01-01T00:00:00Z\n",
		"is odd":   "#!/bin/sh\necho " + heldText + "\necho " + heldText + "\n",
	} {
		w.put(t, "mint", script, 0o700)
		ref := "command:" + filepath.Join(w.dir, "mint")
		m := w.manager(t, w.held(ref, someUser.UID))
		_, err := sleeper(t, m, someUser, "", w.toAPI(ref))
		if err == nil || strings.Contains(err.Error(), heldText) || !strings.Contains(err.Error(), "the log of the daemon says why") {
			t.Errorf("%s: %v", name, err)
		}
		nothingLeft(t, m)
	}
	if strings.Contains(w.log.String(), heldText) {
		t.Error("the log holds the token")
	}
}

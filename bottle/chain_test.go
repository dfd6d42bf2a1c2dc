package bottle

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bottled/secret"
	"bottled/upstreamtest"
)

const (
	proxyHost     = "proxy.example.net"
	proxyPassword = "pr0xy-P4ssw0rd"
)

// proxy starts one that leads to the upstreams of w, in TLS of w's authority or of
// another.
func (w *outside) proxy(t *testing.T, authority *upstreamtest.Authority) *upstreamtest.Proxy {
	t.Helper()
	p, err := upstreamtest.NewProxy("127.0.0.1:0", authority, proxyHost)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	w.names.Set(proxyHost, p.Addr.Addr())
	p.Lead = func(authority string) string {
		_, port, _ := strings.Cut(authority, ":")
		return "127.0.0.1:" + port
	}
	return p
}

// shown is the credential in each CONNECT.
func shown(p *upstreamtest.Proxy) []string {
	var all []string
	for _, head := range p.Heads() {
		_, value, _ := strings.Cut(head, "\r\nProxy-Authorization: ")
		value, _, _ = strings.Cut(value, "\r\n")
		all = append(all, value)
	}
	return all
}

func basicOf(password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte("ci:"+password))
}

// bare is a manifest with a route to the api and none to a proxy.
func (w *outside) bare() string {
	return fmt.Sprintf("version: 1\ndefaults: false\negress_proxy: {routes: [{host: %s, ports: [%s]}]}\n", apiHost, w.api.Port())
}

// nowhere checks that no file below a directory holds a text.
func nowhere(t *testing.T, dir, text string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			if err == nil && d.Name() == "bpf" && d.IsDir() {
				return fs.SkipDir // pins are no files that can be read
			}
			return err
		}
		held, err := os.ReadFile(path)
		if strings.Contains(string(held), text) {
			t.Errorf("%s holds %s", path, text)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// inForceAgain puts the table in force again, as the approval of a proposal does.
func inForceAgain(t *testing.T, m *Manager, id string) error {
	t.Helper()
	b, err := m.find(root, id)
	if err != nil {
		t.Fatal(err)
	}
	b.update.Lock()
	defer b.update.Unlock()
	return m.putInForce(t.Context(), root, b, nil)
}

// TestACredentialForTheProxyOfAManifest follows one of the caller's from the launch
// over an update, and holds what an update may not change.
func TestACredentialForTheProxyOfAManifest(t *testing.T) {
	w := newOutside(t)
	own, err := upstreamtest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	p := w.proxy(t, own)
	m := w.manager(t, "")
	chained := func(change ...string) []byte {
		text := w.bare() + fmt.Sprintf("upstream_proxy: {url: \"https://%s:%d\", ca: proxy.pem, auth: {username: ci, token_ref: PROXY_PW}}\n", proxyHost, p.Addr.Port())
		return []byte(strings.NewReplacer(change...).Replace(text))
	}
	files := map[string][]byte{"proxy.pem": own.PEM()}
	given := func(value string) map[string]secret.Token {
		return map[string]secret.Token{"PROXY_PW": token(t, value)}
	}
	create := func(o CreateOptions) (Info, error) {
		o.Command, o.Dir, o.Manifest, o.Files = []string{"sleep", "1000"}, workDir(t), chained(), files
		return m.Create(t.Context(), someUser, o)
	}
	if _, err := create(CreateOptions{}); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), `token_ref "PROXY_PW" has no value`) {
		t.Errorf("without the password: %v", err)
	}
	if _, err := create(CreateOptions{Tokens: given(proxyPassword), Env: []string{"HINT=" + proxyPassword}}); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "HINT would show") {
		t.Errorf("with the password inside: %v", err)
	}
	info, err := create(CreateOptions{Tokens: given(proxyPassword)})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Stop(context.Background(), root, info.ID, 0)
	if status := call(t, m, info.ID, apiHost, w.api.Port()); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	nowhere(t, m.o.Run, proxyPassword)
	if env := inside(t, m, info.ID, "sh", "-c", "env; cat /etc/bottled/current-config/bottle.yaml /proc/*/environ 2>/dev/null"); strings.Contains(env, proxyPassword) {
		t.Error("the bottle sees the password")
	}
	d, err := m.Inspect(t.Context(), someUser, info.ID)
	if err != nil || d.Chain == nil || d.Chain.URL != fmt.Sprintf("https://%s:%d", proxyHost, p.Addr.Port()) || d.Chain.Scheme != "Basic" || d.Chain.CA != digest(own.PEM()) || d.Chain.Operator {
		t.Errorf("inspect: %+v, %v", d.Chain, err)
	}
	// What comes out of the bottle is looked at for the password, too.
	if text := inside(t, m, info.ID, "curl", "-sS", "-d", "x="+proxyPassword, "https://"+apiHost+":"+w.api.Port()+"/"); !strings.Contains(text, "secret:UPSTREAM_PROXY_TOKEN") {
		t.Errorf("a bottle that knows the password and sends it: %s", text)
	}

	update := func(manifest []byte, files map[string][]byte, tokens map[string]secret.Token) error {
		_, _, err := m.UpdateRoutes(t.Context(), someUser, info.ID, "m", manifest, files, tokens)
		return err
	}
	other := authorityPEM(t)
	for name, c := range map[string]struct {
		manifest []byte
		files    map[string][]byte
		want     error
	}{
		"another port":           {chained("https://proxy", "https://proxy2"), files, ErrConflict},
		"in the clear":           {chained("https://", "http://", "{username", "{cleartext: true, username"), files, ErrConflict},
		"another user":           {chained("username: ci", "username: me"), files, ErrConflict},
		"another scheme":         {chained("username: ci", "scheme: Bearer"), files, ErrConflict},
		"another token":          {chained("PROXY_PW", "PROXY_PW2"), files, ErrConflict},
		"no credential":          {chained(", auth: {username: ci, token_ref: PROXY_PW}", ""), files, ErrConflict},
		"no proxy":               {[]byte(w.bare()), files, ErrConflict},
		"no authority":           {chained(", ca: proxy.pem", ""), files, ErrConflict},
		"another authority":      {chained(), map[string][]byte{"proxy.pem": other}, ErrConflict},
		"one more":               {chained(), map[string][]byte{"proxy.pem": append(own.PEM(), other...)}, ErrConflict},
		"the authority not sent": {chained(), nil, ErrInvalid},
		"the same":               {chained(), files, nil},
		"elsewhere, the same":    {chained("proxy.pem", "elsewhere.pem"), map[string][]byte{"elsewhere.pem": own.PEM()}, nil},
	} {
		if err := update(c.manifest, c.files, nil); !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := inForceAgain(t, m, info.ID); err != nil {
		t.Errorf("an approval: %v", err)
	}
	before := len(p.Heads())
	if status := call(t, m, info.ID, apiHost, w.api.Port()); status != http.StatusOK {
		t.Fatalf("status %d after updates without a value", status)
	}
	if err := update(chained(), files, given("another-password")); err != nil {
		t.Fatal(err)
	}
	if status := call(t, m, info.ID, apiHost, w.api.Port()); status != http.StatusOK {
		t.Fatalf("status %d after an update with another value", status)
	}
	got := shown(p)
	if len(got) != before+2 || got[before] != basicOf(proxyPassword) || got[before+1] != basicOf("another-password") {
		t.Errorf("the proxy was shown %q", got)
	}
	for _, r := range w.api.Requests() {
		if text := fmt.Sprint(r); strings.Contains(text, "Proxy-") || strings.Contains(text, proxyPassword) {
			t.Errorf("the upstream got %s", text)
		}
	}
	if strings.Contains(w.log.String(), proxyPassword) {
		t.Error("the log holds the password")
	}
}

// TestTheHostsProxyIsGoneThrough by bottles whose manifests know nothing of it, with a
// credential that none of them can name, and by no other way.
func TestTheHostsProxyIsGoneThrough(t *testing.T) {
	w := newOutside(t)
	p := w.proxy(t, w.authority)
	w.put(t, "proxy", proxyPassword+"\n", 0o600)
	ref := "file:" + filepath.Join(w.dir, "proxy")
	hostWide := fmt.Sprintf("upstream_proxy: {url: \"https://%s:%d\", auth: {username: ci, token_ref: %q}}\n", proxyHost, p.Addr.Port(), ref)
	m := w.manager(t, hostWide+w.held(w.ref(), someUser.UID))
	w.names.Set(apiHost) // whoever asks here gets no answer

	for _, manifest := range []string{
		w.bare() + "upstream_proxy: {url: \"http://127.0.0.1:3128\"}\n",
		w.bare() + fmt.Sprintf("upstream_proxy: {url: \"https://%s:%d\"}\n", proxyHost, p.Addr.Port()),
		w.toAPI(ref),
	} {
		if _, err := sleeper(t, m, someUser, "", manifest); !errors.Is(err, ErrForbidden) {
			t.Errorf("%s: %v", manifest, err)
		}
	}
	plain, err := sleeper(t, m, someUser, "", w.bare())
	if err != nil {
		t.Fatal(err)
	}
	holding, err := sleeper(t, m, someUser, "", w.toAPI(w.ref())) // the operator's token, through the operator's proxy
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range []Info{plain, holding} {
		if status := call(t, m, info.ID, apiHost, w.api.Port()); status != http.StatusOK {
			t.Fatalf("status %d", status)
		}
		d, err := m.Inspect(t.Context(), someUser, info.ID)
		if err != nil || d.Chain == nil || !d.Chain.Operator || strings.Contains(fmt.Sprintf("%+v", *d.Chain), w.dir) {
			t.Errorf("inspect: %+v, %v", d.Chain, err)
		}
		if seen := inside(t, m, info.ID, "sh", "-c", "env; cat "+w.dir+"/* /etc/bottled/*/* 2>/dev/null; curl -sS http://_egress-proxy.local/allowlist"); strings.Contains(seen, proxyPassword) || strings.Contains(seen, heldText) {
			t.Errorf("the bottle sees %s", seen)
		}
	}
	if got := shown(p); len(got) != 2 || got[0] != basicOf(proxyPassword) || got[1] != got[0] {
		t.Errorf("the proxy was shown %q", got)
	}
	if got := got(w.api, 0); len(got) != 2 || got[0] != "" || got[1] != "Bearer "+heldText {
		t.Errorf("the upstream got %q", got)
	}
	nowhere(t, m.o.Run, proxyPassword)

	// A change of the policy: what runs keeps its proxy and can no longer be changed.
	update := func(info Info, manifest string) error {
		_, _, err := m.UpdateRoutes(t.Context(), someUser, info.ID, "m", []byte(manifest), nil, nil)
		return err
	}
	if err := errors.Join(update(plain, w.bare()), inForceAgain(t, m, plain.ID), inForceAgain(t, m, holding.ID)); err != nil {
		t.Errorf("the control: %v", err)
	}
	for name, policy := range map[string]string{
		"another":    strings.Replace(hostWide, "https://proxy.", "https://other.", 1),
		"another ca": strings.Replace(hostWide, "auth:", fmt.Sprintf("ca: %q, auth:", authorityPEM(t)), 1),
		"none":       "",
		"for others": strings.Replace(hostWide, "{url", "{users: [0], url", 1),
	} {
		m.SetPolicy(floor(t, policy))
		if err := update(plain, w.bare()); !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), "launch it again") {
			t.Errorf("%s: %v", name, err)
		}
		if err := inForceAgain(t, m, plain.ID); !errors.Is(err, ErrConflict) {
			t.Errorf("%s, an approval: %v", name, err)
		}
	}
	m.SetPolicy(floor(t, ""))
	direct, err := sleeper(t, m, someUser, "", w.bare())
	if err != nil {
		t.Fatal(err)
	}
	m.SetPolicy(floor(t, hostWide))
	if err := update(direct, w.bare()); !errors.Is(err, ErrConflict) {
		t.Errorf("one that goes direct: %v", err)
	}
	if d, err := m.Inspect(t.Context(), someUser, direct.ID); err != nil || d.Chain != nil {
		t.Errorf("inspect of one that goes direct: %+v, %v", d.Chain, err)
	}
	before := w.api.Opened()
	p.Close()
	if status := call(t, m, plain.ID, apiHost, w.api.Port()); status != http.StatusBadGateway || w.api.Opened() != before {
		t.Errorf("without its proxy: status %d, and %d connections", status, w.api.Opened()-before)
	}
	if strings.Contains(w.log.String(), proxyPassword) {
		t.Error("the log holds the password")
	}
}

// TestTheCredentialOfTheHostsProxyIsRenewed, also by the next daemon, and a bottle
// whose chain the operator changed is not given the credential of another.
func TestTheCredentialOfTheHostsProxyIsRenewed(t *testing.T) {
	w := newOutside(t)
	p := w.proxy(t, nil)
	w.put(t, "mint", "#!/bin/sh\necho minted-$$\ndate -u -d '+3 seconds' +%Y-%m-%dT%H:%M:%SZ\n", 0o700)
	chain := func(host string) string {
		return fmt.Sprintf("upstream_proxy: {url: \"http://%s:%d\", auth: {scheme: Bearer, token_ref: \"command:%s/mint\", cleartext: true}}\n", host, p.Addr.Port(), w.dir)
	}
	w.names.Set("other.example.net", netip.MustParseAddr("127.0.0.1"))
	m, err := NewManager(t.Context(), Options{Run: runDir(t), Instance: HostInstance, Resolver: w.names.Addr(), Policy: floor(t, chain(proxyHost))})
	if err != nil {
		t.Fatal(err)
	}
	info, err := sleeper(t, m, someUser, "", w.bare())
	if err != nil {
		t.Fatal(err)
	}
	if status := call(t, m, info.ID, apiHost, w.api.Port()); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	next := restart(t, m)
	defer next.Stop(context.Background(), root, info.ID, 0)
	time.Sleep(3500 * time.Millisecond)
	status := 0
	for range 20 { // a busy machine may be late
		p.Cut() // the next request makes a tunnel of its own
		if status = call(t, next, info.ID, apiHost, w.api.Port()); status == http.StatusOK {
			break
		}
	}
	got := slices.DeleteFunc(shown(p), func(s string) bool { return s == "" })
	if status != http.StatusOK || len(got) != 2 || got[0] == got[1] || !strings.HasPrefix(got[1], "Bearer minted-") {
		t.Errorf("status %d with a credential that the next daemon fetched; the proxy was shown %q", status, got)
	}
	next.SetPolicy(floor(t, chain("other.example.net")))
	time.Sleep(3500 * time.Millisecond)
	p.Cut()
	before := len(p.Heads())
	if status := call(t, next, info.ID, apiHost, w.api.Port()); status != http.StatusBadGateway || strings.Contains(strings.Join(p.Heads()[before:], ""), "CONNECT") {
		t.Errorf("status %d after the operator changed the proxy, which was told %q", status, p.Heads()[before:])
	}
}

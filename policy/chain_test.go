package policy

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bottled/ca"
	"bottled/routes"
)

const (
	hostWide = `upstream_proxy: {url: "https://proxy.corp.example.com:3129", auth: {username: host, token_ref: "command:/bin/echo h0st"}}` + "\n"
	ownProxy = bare + "upstream_proxy: {url: \"http://other.example.com:3128\"}\n"
)

func manifest(t *testing.T, text string) *routes.Manifest {
	t.Helper()
	m, err := routes.ParseManifest("bottle.yaml", []byte("version: 1\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestTheHostsProxy holds who goes through it, and who may name another.
func TestTheHostsProxy(t *testing.T) {
	for _, c := range []struct {
		name, policy string
		who          Subject
		through      bool // of a manifest that says nothing
		another      string
	}{
		{"everybody", hostWide, mallory, true, "policy.yaml:2: upstream_proxy: bottles of this host go through https://proxy.corp.example.com:3129, and a manifest may not name another proxy"},
		{"root", hostWide, rootUser, true, "upstream_proxy: bottles of this host"},
		{"a group", strings.Replace(hostWide, "{url", "{groups: [2000], url", 1), alice, true, "upstream_proxy: bottles of this host"},
		{"another group", strings.Replace(hostWide, "{url", "{groups: [2000], url", 1), mallory, false, ""},
		{"a user", strings.Replace(hostWide, "{url", "{users: [6666], url", 1), mallory, true, "upstream_proxy: bottles of this host"},
		{"no user", strings.Replace(hostWide, "{url", "{users: [], url", 1), mallory, false, ""},
		{"with leave", hostWide + "may: {upstream_proxy: {users: [6666]}}\n", mallory, true, ""},
		{"with leave for another", hostWide + "may: {upstream_proxy: {users: [1000]}}\n", mallory, true, "may.upstream_proxy: you may not"},
		{"with leave for none", hostWide + "may: {upstream_proxy: false}\n", rootUser, true, "may.upstream_proxy: you may not"},
		{"without one", "", mallory, false, ""},
	} {
		p := parse(t, c.policy)
		if err := checkManifest(t, p, c.who, bare); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		got := p.Chain(c.who, manifest(t, bare))
		if (got != nil) != c.through || got != nil && got.String() != "https://proxy.corp.example.com:3129" {
			t.Errorf("%s: through %v", c.name, got)
		}
		err := checkManifest(t, p, c.who, ownProxy)
		if c.another == "" && err != nil || c.another != "" && (err == nil || !strings.Contains(err.Error(), c.another)) {
			t.Errorf("%s, a proxy of its own: %v", c.name, err)
		}
		if p.Chain(c.who, manifest(t, ownProxy)) != nil {
			t.Errorf("%s: two proxies", c.name)
		}
	}
	if new(Policy).Chain(rootUser, manifest(t, bare)) != nil || (*Policy)(nil).Chain(rootUser, manifest(t, bare)) != nil {
		t.Error("no policy has a proxy")
	}
}

// TestTheHostsCredentialIsNobodysToName: it is fetched for the chain, and in a manifest
// its reference is one that nobody has.
func TestTheHostsCredentialIsNobodysToName(t *testing.T) {
	p := parse(t, hostWide+"may: {upstream_proxy: true}\n")
	token, expires, err := p.Chain(mallory, manifest(t, bare)).Token(t.Context(), time.Second)
	if err != nil || token.Reveal() != "h0st" || !expires.IsZero() {
		t.Fatalf("%v, %v", expires, err)
	}
	const ref = "command:/bin/echo h0st"
	for _, s := range []Subject{alice, rootUser} {
		for name, text := range map[string]string{
			"on a route": auth("proxy.corp.example.com", ref, ", ports: [3129]"),
			"of a proxy": bare + `upstream_proxy: {url: "https://proxy.corp.example.com:3129", auth: {username: host, token_ref: "` + ref + `"}}` + "\n",
		} {
			if err := checkManifest(t, p, s, text); err == nil || !strings.Contains(err.Error(), "is not one that uid") {
				t.Errorf("uid %d, %s: %v", s.UID, name, err)
			}
		}
		if _, _, err := p.Token(t.Context(), s, ref, 0); err == nil {
			t.Errorf("uid %d was given it", s.UID)
		}
	}
}

// TestAHeldTokenThroughAProxy: over the operator's as without one, over the caller's
// not at all, and to the caller's only where the token may go.
func TestAHeldTokenThroughAProxy(t *testing.T) {
	const held = "tokens: [{ref: \"credential:gh\", users: [1000], hosts: [api.github.com, \"proxy.example.com:3129\"]}]\n"
	authority, err := ca.New("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pem := strings.ReplaceAll(string(authority.CertPEM()), "\n", "\\n")
	if err := checkManifest(t, parse(t, hostWide+held), alice, auth("api.github.com", "credential:gh", "")); err != nil {
		t.Errorf("through the operator's: %v", err)
	}
	proxied := func(url, ca, ref string) string {
		return bare + `upstream_proxy: {url: "` + url + `"` + ca + `, auth: {username: ci, token_ref: "` + ref + `"}}` + "\n"
	}
	p := parse(t, held)
	for _, text := range []string{
		proxied("https://proxy.example.com:3129", "", "credential:gh"),
		proxied("https://Proxy.example.com.:3129", "", "credential:gh"),
		proxied("https://evil.example.com:3129", "", "MY_OWN"),
	} {
		if err := checkManifest(t, p, alice, text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for name, text := range map[string]string{
		"another host":           proxied("https://evil.example.com:3129", "", "credential:gh"),
		"another port":           proxied("https://proxy.example.com:443", "", "credential:gh"),
		"in the clear":           strings.Replace(proxied("http://proxy.example.com:3129", "", "credential:gh"), "{username", "{cleartext: true, username", 1),
		"an authority of theirs": proxied("https://proxy.example.com:3129", `, ca: "`+pem+`"`, "credential:gh"),
		"a file of theirs":       proxied("https://proxy.example.com:3129", ", ca: mine.pem", "credential:gh"),
		"another token":          proxied("https://proxy.example.com:3129", "", "file:/etc/shadow"),
		"on a route as well":     auth("api.github.com", "credential:gh", "") + strings.TrimPrefix(proxied("https://proxy.example.com:3129", "", "credential:gh"), bare),
	} {
		if err := checkManifest(t, p, alice, text); err == nil || !strings.Contains(err.Error(), "token_ref") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTheCertificatesOfTheHostsProxy are read with the policy, and trusted as it is.
func TestTheCertificatesOfTheHostsProxy(t *testing.T) {
	authority, err := ca.New("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	dir := rootDir(t)
	pem, file := filepath.Join(dir, "proxy.pem"), filepath.Join(dir, "policy.yaml")
	put(t, pem, string(authority.CertPEM()))
	put(t, file, "version: 1\nupstream_proxy: {url: \"https://proxy.example.com:3129\", ca: "+pem+"}\n")
	p, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if c := p.Chain(alice, manifest(t, bare)); string(c.Certificates) != string(authority.CertPEM()) {
		t.Errorf("%q", c.Certificates)
	}
	for _, c := range []struct {
		name   string
		change func()
		say    string
	}{
		{"writable", func() { must(t, os.Chmod(pem, 0o666)) }, "chmod it"},
		{"of a user", func() { must(t, os.Chmod(pem, 0o644)); must(t, os.Chown(pem, 1000, 0)) }, "chown it"},
		{"no certificate", func() { must(t, os.Chown(pem, 0, 0)); put(t, pem, "h0st") }, "no certificate"},
		{"gone", func() { must(t, os.Remove(pem)) }, "no such file"},
	} {
		c.change()
		_, err := Load(file)
		if err == nil || !strings.Contains(err.Error(), "upstream_proxy.ca") || !strings.Contains(err.Error(), c.say) || strings.Contains(err.Error(), "h0st") {
			t.Errorf("%s: %v", c.name, err)
		}
		if errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: taken for a policy that is not there, which would mean the defaults", c.name)
		}
	}
}

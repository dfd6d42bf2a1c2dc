package trust_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"bottled/ca"
	"bottled/trust"

	"software.sslmate.com/src/go-pkcs12"
)

func authority(t testing.TB) *ca.Authority {
	t.Helper()
	a, err := ca.New("trust-test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func noEnv(string) (string, bool) { return "", false }

func env(m map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := m[name]; return v, ok }
}

func link(target string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink | 0o777}
}

func file(data string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(data), Mode: 0o644} }

// root is a PEM that stands for the host's roots.
func root(t testing.TB, id string) string {
	t.Helper()
	a, err := ca.New(id, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return string(a.CertPEM())
}

func TestLayouts(t *testing.T) {
	a := authority(t)
	pem := string(a.CertPEM())
	roots := root(t, "roots")
	other := root(t, "other")
	for _, tt := range []struct {
		name    string
		host    fstest.MapFS
		env     map[string]string
		bundles map[string]string // expected contents
		links   map[string]string // expected among the links, beside hashed ones
		java    []string
	}{
		{
			name: "Debian",
			host: fstest.MapFS{
				"etc/ssl/certs/ca-certificates.crt":                         file(roots),
				"usr/lib/ssl/cert.pem":                                      link("/etc/ssl/certs/ca-certificates.crt"),
				"usr/lib/ssl/certs":                                         link("/etc/ssl/certs"),
				"etc/ssl/certs/java/cacerts":                                file("old"),
				"usr/lib/jvm/java-17/lib/security/cacerts":                  link("/etc/ssl/certs/java/cacerts"),
				"usr/lib/jvm/default-java":                                  link("java-17"),
				"usr/lib/jvm/java-17/bin/java":                              file(""),
				"opt/vendor-jdk/lib/security/cacerts":                       file("old"),
				"opt/tool/readme":                                           file(""),
				"home/u/.sdkman/candidates/java/8/jre/lib/security/cacerts": file("old"),
				"srv/jdk/lib/security/cacerts":                              file("old"),
				"srv/path/bin/java":                                         file(""),
				"srv/path/lib/security/cacerts":                             file("old"),
				"usr/bin/java":                                              link("../../srv/path/bin/java"),
			},
			env:     map[string]string{"HOME": "/home/u", "JAVA_HOME": "/srv/jdk", "PATH": "relative::/usr/bin"},
			bundles: map[string]string{"/etc/ssl/certs/ca-certificates.crt": roots + pem},
			links:   map[string]string{"/etc/ssl/cert.pem": trust.Bundle},
			java: []string{
				"/etc/ssl/certs/java/cacerts", "/opt/vendor-jdk/lib/security/cacerts", "/srv/jdk/lib/security/cacerts",
				"/srv/path/lib/security/cacerts", "/home/u/.sdkman/candidates/java/8/jre/lib/security/cacerts",
			},
		},
		{
			name: "Fedora",
			host: fstest.MapFS{
				"etc/ssl/certs":                                    link("../pki/tls/certs"),
				"etc/pki/tls/certs/ca-bundle.crt":                  link("/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"),
				"etc/pki/tls/cert.pem":                             link("certs/ca-bundle.crt"),
				"etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem": file(roots),
				"etc/pki/ca-trust/extracted/java/cacerts":          file("old"),
				"etc/pki/ca-trust/source/anchors/readme":           file(""),
				"usr/lib/jvm/java-21/lib/security/cacerts":         link("/etc/pki/java/cacerts"),
				"etc/pki/java/cacerts":                             link("/etc/pki/ca-trust/extracted/java/cacerts"),
			},
			bundles: map[string]string{
				"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem": roots + pem,
				"/etc/pki/tls/certs/ca-certificates.crt":            roots + pem,
				"/etc/pki/ca-trust/source/anchors/bottled.pem":      pem,
				"/etc/pki/tls/certs/bottled.pem":                    pem,
			},
			java: []string{"/etc/pki/ca-trust/extracted/java/cacerts"},
		},
		{
			name: "two bundles that differ, one without a newline at its end",
			host: fstest.MapFS{
				"etc/ssl/certs/ca-certificates.crt": file(strings.TrimSpace(roots)),
				"etc/ssl/ca-bundle.pem":             file(other),
			},
			bundles: map[string]string{
				"/etc/ssl/certs/ca-certificates.crt": roots + pem,
				"/etc/ssl/ca-bundle.pem":             other + pem,
			},
		},
		{
			name:    "nothing",
			host:    fstest.MapFS{},
			bundles: map[string]string{"/etc/ssl/certs/ca-certificates.crt": pem, "/etc/ssl/certs/bottled.pem": pem},
		},
		{
			name: "a loop, a directory and a dangling link in the way",
			host: fstest.MapFS{
				"etc/ssl/certs/ca-certificates.crt": link("/srv/gone/bundle.pem"),
				"etc/ssl/cert.pem":                  link("cert.pem"),
				"etc/ssl/ca-bundle.pem/x":           file(""),
				"etc/pki/tls/certs/ca-bundle.crt":   file(roots),
			},
			bundles: map[string]string{
				"/srv/gone/bundle.pem":             roots + pem,
				"/etc/pki/tls/certs/ca-bundle.crt": roots + pem,
			},
		},
		{
			name:    "a link out of the tree",
			host:    fstest.MapFS{"etc/ssl/certs/ca-certificates.crt": link("../../../../../../srv/b.pem"), "srv/b.pem": file(roots)},
			bundles: map[string]string{"/srv/b.pem": roots + pem},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := trust.NewHost(tt.host).Layer(a.CertPEM(), env(tt.env))
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range tt.bundles {
				if got := string(l.Files[name]); got != want {
					t.Errorf("%s has %d bytes; want %d", name, len(got), len(want))
				}
			}
			for name, want := range tt.links {
				if l.Links[name] != want {
					t.Errorf("%s is a link to %q; want %q", name, l.Links[name], want)
				}
			}
			var java []string
			for name := range l.Files {
				if strings.HasSuffix(name, "cacerts") {
					java = append(java, name)
				}
				if _, both := l.Links[name]; both {
					t.Errorf("%s is a file and a link", name)
				}
				if info, err := tt.host.Lstat(name[1:]); err == nil && !info.Mode().IsRegular() {
					t.Errorf("%s replaces %v", name, info.Mode())
				}
			}
			slices.Sort(java)
			slices.Sort(tt.java)
			if !slices.Equal(java, tt.java) {
				t.Errorf("Java trust stores %q; want %q", java, tt.java)
			}
		})
	}
}

// TestJavaStore reads the store back: the authority and every root are in it.
func TestJavaStore(t *testing.T) {
	a := authority(t)
	roots := root(t, "one") + "# text between\n" + root(t, "two")
	host := fstest.MapFS{"etc/ssl/certs/ca-certificates.crt": file(roots), "etc/ssl/certs/java/cacerts": file("old")}
	l, err := trust.NewHost(host).Layer(a.CertPEM(), noEnv)
	if err != nil {
		t.Fatal(err)
	}
	certs, err := pkcs12.DecodeTrustStore(l.Files["/etc/ssl/certs/java/cacerts"], "")
	if err != nil {
		t.Fatal(err)
	}
	if len(certs) != 3 || !slices.ContainsFunc(certs, func(c *x509.Certificate) bool { return c.Equal(a.Certificate()) }) {
		t.Errorf("the store has %d certificates", len(certs))
	}
}

func TestChromiumPolicy(t *testing.T) {
	a := authority(t)
	host := fstest.MapFS{"etc/chromium": link("chromium-real"), "etc/chromium-real/x": file("")}
	l, err := trust.NewHost(host).Layer(a.CertPEM(), noEnv)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/etc/chromium-real/policies/managed/bottled.json", "/etc/opt/chrome/policies/managed/bottled.json"} {
		var policy struct{ CACertificates [][]byte }
		if err := json.Unmarshal(l.Files[name], &policy); err != nil || len(policy.CACertificates) != 1 || !bytes.Equal(policy.CACertificates[0], a.Certificate().Raw) {
			t.Errorf("%s: %v, %s", name, err, l.Files[name])
		}
	}
}

// TestChange puts other roots into the file between two launches.
func TestChange(t *testing.T) {
	a := authority(t)
	host := fstest.MapFS{"etc/ssl/certs/ca-certificates.crt": file(root(t, "old"))}
	h := trust.NewHost(host)
	for _, id := range []string{"old", "new"} {
		roots := root(t, id)
		host["etc/ssl/certs/ca-certificates.crt"] = &fstest.MapFile{Data: []byte(roots), Mode: 0o644, ModTime: time.Now()}
		l, err := h.Layer(a.CertPEM(), noEnv)
		if err != nil || string(l.Files[trust.Bundle]) != roots+string(a.CertPEM()) {
			t.Errorf("%s: the bundle is not that of the file as it is (%v)", id, err)
		}
	}
}

func TestBadAuthority(t *testing.T) {
	h := trust.NewHost(fstest.MapFS{})
	good := string(authority(t).CertPEM())
	for name, pem := range map[string]string{
		"empty": "", "text": "hello", "two": good + good, "key": strings.ReplaceAll(good, "CERTIFICATE", "PRIVATE KEY"),
		"no certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
	} {
		if _, err := h.Layer([]byte(pem), noEnv); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// TestHostHasHash keeps a link of the host's whose name the authority's would have.
func TestHostHasHash(t *testing.T) {
	a := authority(t)
	host := fstest.MapFS{}
	first, err := trust.NewHost(host).Layer(a.CertPEM(), noEnv)
	if err != nil {
		t.Fatal(err)
	}
	hashed := func(l trust.Layer) string {
		for name, target := range maps.All(l.Links) {
			if target == "bottled.pem" {
				return name
			}
		}
		return ""
	}
	name := hashed(first)
	if !strings.HasSuffix(name, ".0") {
		t.Fatalf("links %v", first.Links)
	}
	host[name[1:]] = link("other.pem")
	second, err := trust.NewHost(host).Layer(a.CertPEM(), noEnv)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := hashed(second), strings.TrimSuffix(name, "0")+"1"; got != want {
		t.Errorf("link %q; want %q", got, want)
	}
}

func BenchmarkLayer(b *testing.B) {
	pem := authority(b).CertPEM()
	h := trust.NewHost(os.DirFS("/").(fs.ReadLinkFS))
	for b.Loop() {
		if _, err := h.Layer(pem, os.LookupEnv); err != nil {
			b.Fatal(err)
		}
	}
}

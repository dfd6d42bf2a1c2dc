package routes

import (
	"net/netip"
	"strings"
	"testing"
)

func TestParseHost(t *testing.T) {
	for in, want := range map[string]string{
		"api.example.com":           "api.example.com",
		"API.Example.COM":           "api.example.com",
		"api.example.com.":          "api.example.com",
		"bücher.example":            "xn--bcher-kva.example",
		"BÜCHER.example":            "xn--bcher-kva.example",
		"xn--bcher-kva.example":     "xn--bcher-kva.example",
		"XN--BCHER-KVA.example":     "xn--bcher-kva.example",
		"straße.example":            "xn--strae-oqa.example", // not strasse: non-transitional
		"\uff41pi.example.com":      "api.example.com",       // fullwidth, mapped by UTS #46
		"api\u3002example\u3002com": "api.example.com",
		"аpi.example.com":           "xn--pi-6kc.example.com", // Cyrillic а
		"10.1.2.3":                  "10.1.2.3",
		"fd00::1":                   "fd00::1",
		"[FD00:0::1]":               "fd00::1",
		"a--b.example.com":          "a--b.example.com",
		"1password.com":             "1password.com",
	} {
		h, err := ParseHost(in)
		if err != nil || h.String() != want {
			t.Errorf("ParseHost(%q) = %q, %v; want %q", in, h, err, want)
		}
		if again, err := ParseHost(h.String()); err != nil || again != h {
			t.Errorf("ParseHost(%q) is not stable: %q, %v", h, again, err)
		}
	}
}

func TestParseAuthority(t *testing.T) {
	for in, want := range map[string]string{
		"example.com":         "example.com:443",
		"EXAMPLE.com.":        "example.com:443",
		"example.com:8443":    "example.com:8443",
		"192.0.2.1":           "192.0.2.1:443",
		"[2001:db8::1]":       "[2001:db8::1]:443",
		"[2001:DB8:0::1]:80":  "[2001:db8::1]:80",
		"_Egress-Proxy.local": "_egress-proxy.local:443",
		"intranet":            "intranet:443",
	} {
		a, err := ParseAuthority(in, 443)
		if err != nil || a.String() != want {
			t.Errorf("ParseAuthority(%q) = %q, %v; want %q", in, a, err, want)
		}
	}
	for _, in := range hostileAuthorities {
		if a, err := ParseAuthority(in, 443); err == nil {
			t.Errorf("ParseAuthority(%q) = %q", in, a)
		}
	}
	if a, err := ParseAuthority("example.com", 0); err == nil {
		t.Errorf("without a default port: %q", a)
	}
	if (Authority{}).String() != "" {
		t.Error("the zero Authority has a name")
	}
}

var hostileAuthorities = []string{
	"", ".", "..", "a..b", ".example.com", "example.com..", "user@example.com", "example.com@evil.com", "example.com:", "example.com:0", "example.com:00",
	"example.com:080", "example.com:65536", "example.com:99999999999999999999", "example.com:-1", "example.com:+443", "example.com:443:443", "example.com: 443",
	"example.com:http", "example.com/", "example.com/x", "example.com?x", "example.com#x", `example.com\x`, "example.com%00.evil.com", "example%2ecom",
	"example.com\x00", "example.com\n", "example.com\r\nX: y", " example.com", "example.com ", "exa mple.com", "exämple.com", "\uff45xample.com", "example\u3002com",
	"exam\u00adple.com", "-example.com", "example-.com", "my_bucket.example.com", "*.example.com", "*", "127.1", "2130706433", "0x7f000001", "0x7f.1", "010.0.0.1",
	"127.0.0.1.1", "1.2.3.256", "1.2.3.04", "::1", "[::1", "::1]", "[::1]x", "[::1]:", "[fe80::1%25eth0]", "[fe80::1%eth0]:443", "[::ffff:127.0.0.1]", "[127.0.0.1]", "[]", "[example.com]",
	"http://example.com", "example.com,evil.com", "a." + strings.Repeat("b", 64) + ".com", strings.Repeat("abc.", 70) + "com", "example.0x", "example.123",
}

func TestParseSNI(t *testing.T) {
	if h, err := ParseSNI("EXAMPLE.com"); err != nil || h.String() != "example.com" {
		t.Errorf("%q, %v", h, err)
	}
	for _, in := range append([]string{"example.com.", "192.0.2.1", "[::1]", "example.com:443"}, hostileAuthorities...) {
		if h, err := ParseSNI(in); err == nil {
			t.Errorf("ParseSNI(%q) = %q", in, h)
		}
	}
}

func TestPatternMatches(t *testing.T) {
	for _, tt := range []struct {
		pattern, host string
		want          bool
	}{
		{"allowed.com", "allowed.com", true},
		{"allowed.com", "www.allowed.com", false},
		{"allowed.com", "evilallowed.com", false},
		{"allowed.com", "allowed.com.evil.com", false},
		{"allowed.com", "allowedxcom.com", false},
		{"*.allowed.com", "a.allowed.com", true},
		{"*.allowed.com", "a.b.allowed.com", true},
		{"*.allowed.com", "allowed.com", false},
		{"*.allowed.com", "evilallowed.com", false},
		{"*.allowed.com", "a.allowed.com.evil.com", false},
		{"*.Allowed.COM.", "a.allowed.com", true},
		{"*.amazonaws.com", "sts.amazonaws.com", true},
		{"*.amazonaws.com", "evil.s3.amazonaws.com", false},
		{"10.0.0.1", "10.0.0.1", true},
		{"10.0.0.1", "110.0.0.1", false},
	} {
		p, err := ParsePattern(tt.pattern)
		if err != nil {
			t.Fatal(err)
		}
		a, err := ParseAuthority(tt.host, 443)
		if err != nil {
			t.Fatal(err)
		}
		if p.Matches(a.Host) != tt.want {
			t.Errorf("%s matches %s: %v", tt.pattern, tt.host, !tt.want)
		}
	}
}

func TestIsMetadata(t *testing.T) {
	for in, want := range map[string]bool{
		"169.254.169.254": true, "::ffff:169.254.169.254": true, "100.100.100.200": true, "fd00:ec2::254": true, "fd00:ec2::254%eth0": true,
		"100.100.100.201": false, "10.0.0.1": false, "fd00::1": false,
	} {
		if got := IsMetadata(netip.MustParseAddr(in)); got != want {
			t.Errorf("%s: %v", in, got)
		}
	}
}

// FuzzAuthority holds that there is one spelling of each authority, that it is
// plain ASCII, and that both sides agree on the name.
func FuzzAuthority(f *testing.F) {
	for _, s := range hostileAuthorities {
		f.Add(s)
	}
	f.Add("Example.COM.:8443")
	f.Add("[2001:db8::1]:80")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAuthority(s, 443)
		if err != nil {
			if a != (Authority{}) && !a.Host.IsZero() {
				t.Fatalf("%q: an error and a host %q", s, a)
			}
			return
		}
		again, err := ParseAuthority(a.String(), 1)
		if err != nil || again != a {
			t.Fatalf("%q: %q becomes %q, %v", s, a, again, err)
		}
		name := a.Host.String()
		if a.Port == 0 || name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-.:_") != "" {
			t.Fatalf("%q: %+v", s, a)
		}
		if strings.ContainsRune(name, '_') && !a.Host.IsMagic() {
			t.Fatalf("%q: underscore in %q", s, name)
		}
		// The wire spelled this name in the same letters: nothing was mapped.
		if _, literal := a.Host.Addr(); !literal && !strings.HasPrefix(strings.ToLower(s), name) {
			t.Fatalf("%q became %q", s, name)
		}
		if h, err := ParseHost(name); err == nil && h != a.Host {
			t.Fatalf("%q: the wire reads %q and the manifest %q", s, name, h)
		}
	})
}

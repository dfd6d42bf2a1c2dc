package routes

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	gopath "path"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"bottled/attack"
)

// apiManifest is the bottle that the attacks are made from.
const apiManifest = `
egress:
  allowlist: [docs.example.com]
egress_proxy:
  routes:
    - host: allowed.com
      path_allowlist: ["/allowed", "/repos/a"]
      auth: {scheme: Bearer, token_ref: T}
    - host: "*.sub.allowed.com"
`

// passes is the probe that reaches its goal if the table allows the request.
func passes(tab *Table, q Query) attack.Probe {
	return func(*testing.T) error {
		if d := tab.Decide(q); !d.Allowed() {
			return fmt.Errorf("%s: %s", d.Reason, d.Detail)
		}
		return nil
	}
}

// naivePath is a gate that compares the prefix of the bytes, and an upstream that
// decodes, cuts parameters and resolves: the request gets through if the gate
// takes it and the upstream serves something else.
func naivePath(target string) attack.Probe {
	return func(*testing.T) error {
		if !strings.HasPrefix(target, "/allowed") && !strings.HasPrefix(target, "/repos/a") {
			return errors.New("the naive gate refuses it too")
		}
		for _, r := range readings(target) {
			clean := gopath.Clean(r)
			if clean != "/allowed" && !strings.HasPrefix(clean, "/allowed/") && clean != "/repos/a" && !strings.HasPrefix(clean, "/repos/a/") {
				return nil
			}
		}
		return errors.New("every upstream reads what the gate reads")
	}
}

func TestAttackPaths(t *testing.T) {
	tab := table(t, apiManifest)
	for _, tt := range []struct{ id, name, target string }{
		{"P01", "dot segment", "/allowed/../admin"},
		{"P01", "dot segment at the end", "/allowed/.."},
		{"P03", "encoded slash in a dot segment", "/allowed/..%2fadmin"},
		{"P03", "encoded slashes alone", "/allowed%2f..%2fadmin"},
		{"P03", "encoded backslash", "/allowed/..%5cadmin"},
		{"P04", "double encoding", "/allowed/%252e%252e%252fadmin"},
		{"P04", "triple encoding", "/allowed/%25252e%25252e%25252fadmin"},
		{"P06", "matrix parameter on a dot segment", "/allowed/..;/admin"},
		{"P07", "backslash", `/allowed\..\admin`},
		{"P09", "overlong UTF-8", "/allowed/%c0%ae%c0%ae/admin"},
		{"P09", "fullwidth full stop", "/allowed/%ef%bc%8e%ef%bc%8e/admin"},
		{"P09", "division slash", "/allowed/..%e2%88%95admin"},
		{"P10", "prefix without boundary", "/repos/ab"},
		{"P10", "prefix with a hyphen", "/repos/a-evil"},
		{"P13", "dot segment with a trailing space", "/allowed/..%20/admin"},
		{"P13", "dot segment with a semicolon", "/allowed/x/..;/../admin"},
	} {
		q := query(t, "GET", "https://allowed.com/")
		q.Target = tt.target
		attack.Stopped(t, tt.id, tt.name, naivePath(tt.target), passes(tab, q))
	}
}

// Rows where the request is harmless in another spelling: the control is the twin
// that the same table allows.
func TestAttackTwins(t *testing.T) {
	tab := table(t, apiManifest)
	for _, tt := range []struct{ id, name, twin, url string }{
		{"P06", "matrix parameter elsewhere", "https://docs.example.com/admin;x=/allowed/", "https://allowed.com/admin;x=/allowed/"},
		{"P12", "letter case", "https://allowed.com/allowed", "https://allowed.com/Allowed"},
		{"P12", "all capitals", "https://allowed.com/allowed", "https://allowed.com/ALLOWED"},
		{"P13", "trailing dot", "https://allowed.com/allowed", "https://allowed.com/allowed."},
		{"P13", "trailing space", "https://allowed.com/allowed", "https://allowed.com/allowed%20"},
		{"P13", "dot segment at the end", "https://docs.example.com/admin/.", "https://allowed.com/admin/."},
		{"H04", "port", "https://allowed.com:443/allowed", "https://allowed.com:22/allowed"},
		{"H07", "prefix of the name", "https://allowed.com/allowed", "https://evilallowed.com/allowed"},
		{"H07", "suffix of the name", "https://allowed.com/allowed", "https://allowed.com.evil.com/allowed"},
		{"H07", "any character for the dot", "https://allowed.com/allowed", "https://allowedxcom.com/allowed"},
		{"H07", "apex of a wildcard", "https://a.sub.allowed.com/", "https://sub.allowed.com/"},
		{"H07", "prefix of a wildcard's base", "https://a.b.sub.allowed.com/", "https://evilsub.allowed.com/"},
		{"D13", "unqualified name", "https://docs.example.com/", "https://docs/"},
		{"M10", "magic host is never routed", "https://docs.example.com/", "https://_EGRESS-PROXY.LOCAL./"},
		{"M10", "magic host on another port", "https://docs.example.com/", "https://_egress-proxy.local:8443/"},
		{"M10", "magic host as a prefix", "https://docs.example.com/", "https://egress-proxy.local.evil.com/"},
		{"H27", "two slashes", "https://docs.example.com/x", "https://docs.example.com//evil.com/x"},
		{"H27", "fragment", "https://docs.example.com/a", "https://docs.example.com/a#frag"},
	} {
		attack.Stopped(t, tt.id, tt.name, passes(tab, query(t, "GET", tt.twin)), passes(tab, query(t, "GET", tt.url)))
	}
	ok := query(t, "GET", "https://allowed.com/allowed")
	trace := ok
	trace.Method = "TRACE"
	attack.Stopped(t, "H24", "TRACE", passes(tab, ok), passes(tab, trace))
	star := ok
	star.Target = "*"
	attack.Stopped(t, "H27", "asterisk form", passes(tab, ok), passes(tab, star))
	absolute := ok
	absolute.Target = "http://evil.example/allowed"
	attack.Stopped(t, "H01", "absolute form as a target", passes(tab, ok), passes(tab, absolute))
	magic := ok
	magic.SNI = parseHost(t, MagicHost)
	attack.Stopped(t, "M10", "SNI magic, Host allowed", passes(tab, ok), passes(tab, magic))
	other := ok
	other.Authority.Host = parseHost(t, MagicHost)
	attack.Stopped(t, "M10", "Host magic, SNI allowed", passes(tab, ok), passes(tab, other))
}

// A query alone never selects what is done on an allowed path of a Git server:
// fetch and push differ in the path of the request that does it.
func TestAttackPush(t *testing.T) {
	tab := table(t, `egress_proxy: {routes: [{host: git.example.com, path_allowlist: [/acme/app.git/info/refs, /acme/app.git/git-upload-pack]}]}`)
	fetch := query(t, "POST", "https://git.example.com/acme/app.git/git-upload-pack")
	push := query(t, "POST", "https://git.example.com/acme/app.git/git-receive-pack")
	attack.Stopped(t, "P15", "push where fetch is allowed", passes(tab, fetch), passes(tab, push))
}

func parseHost(t *testing.T, s string) Host {
	t.Helper()
	a, err := ParseAuthority(s, 443)
	if err != nil {
		t.Fatal(err)
	}
	return a.Host
}

// names is the probe that gets through if the wire spelling is taken for an
// allowed host.
func names(spelling string) attack.Probe {
	return func(t *testing.T) error {
		a, err := ParseAuthority(spelling, 443)
		if err != nil {
			return err
		}
		q := query(t, "GET", "https://allowed.com/allowed")
		q.Authority, q.SNI = a, a.Host
		return passes(table(t, apiManifest), q)(t)
	}
}

// urlNames is the same with net/url as the reader of the authority.
func urlNames(spelling string) attack.Probe {
	return func(*testing.T) error {
		u, err := url.Parse("https://" + spelling + "/")
		if err != nil {
			return err
		}
		if u.Hostname() == "" && spelling != "" {
			return fmt.Errorf("net/url refuses it too")
		}
		return nil
	}
}

func TestAttackAuthorities(t *testing.T) {
	for _, tt := range []struct{ id, name, in string }{
		{"H01", "user information", "allowed.com@evil.com"},
		{"H03", "empty authority", ""},
		{"H04", "empty port", "allowed.com:"},
		{"H04", "IPv6 loopback", "[::1]"},
		{"H04", "IPv6 zone", "[fe80::1%25eth0]:443"},
		{"H06", "fullwidth letter", "\uff41llowed.com"},
		{"H06", "ideographic full stop", "allowed\u3002com"},
		{"H06", "soft hyphen", "allow\u00aded.com"},
		{"H06", "dotless i", "allowed.com\u0131"},
		{"H06", "Cyrillic a", "аllowed.com"},
		{"H06", "zero-width joiner", "allowed\u200d.com"},
		{"H06", "invalid punycode", "xn--example-.com"},
		{"H07", "encoded NUL", "allowed.com%00.evil"},
	} {
		control := urlNames(tt.in)
		if tt.in == "allowed.com%00.evil" { // net/url refuses it: the twin that decodes is the control
			control = names("allowed.com")
		}
		attack.Stopped(t, tt.id, tt.name, control, names(tt.in))
	}
	attack.Stopped(t, "H04", "two ports", names("allowed.com:443"), names("allowed.com:443:443"))
	sni := func(s string) attack.Probe {
		return func(t *testing.T) error {
			h, err := ParseSNI(s)
			if err != nil {
				return err
			}
			q := query(t, "GET", "https://allowed.com/allowed")
			q.SNI = h
			return passes(table(t, apiManifest), q)(t)
		}
	}
	attack.Stopped(t, "S06", "trailing dot in the server name", sni("ALLOWED.com"), sni("allowed.com."))
}

// loads is the probe that gets through if a manifest is taken.
func loads(manifest string) attack.Probe {
	return func(*testing.T) error {
		_, err := ParseManifest("m.yaml", []byte(manifest))
		return err
	}
}

// lax is a reader without this package's rules: what a YAML or JSON library does
// by default.
func lax(manifest string) attack.Probe {
	return func(*testing.T) error {
		var v struct {
			Version      int
			Egress       struct{ Allowlist []string }
			EgressProxy  struct{ Routes []map[string]any } `yaml:"egress_proxy"`
			A, B, C, Any any
		}
		return yaml.Unmarshal([]byte(manifest), &v)
	}
}

func TestAttackManifests(t *testing.T) {
	const route = "version: 1\negress_proxy:\n  routes:\n    - "
	for _, tt := range []struct{ id, name, manifest string }{
		{"A10", "unknown key", route + `{host: a.example.com, path_allow_list: ["/user"]}`},
		{"A10", "alias", "version: 1\na: &x [1]\nb: *x\n"},
		{"A10", "second document", "version: 1\n---\negress: {allowlist: [evil.example.com]}\n"},
		{"A10", "binary tag", "version: 1\negress: {allowlist: [!!binary ZXZpbC5leGFtcGxlLmNvbQ==]}\n"},
		{"A10", "octal port", route + "{host: a.example.com, ports: [0777]}"},
		{"A10", "yes for true", "version: 1\ndefaults: yes\n"},
		{"A10", "byte order mark", "\ufeffversion: 1\n"},
		{"P18", "null path list", route + "{host: a.example.com, path_allowlist: }"},
		{"P18", "empty path", route + `{host: a.example.com, path_allowlist: [""]}`},
		{"P18", "star for a path", route + `{host: a.example.com, path_allowlist: ["*"]}`},
		{"P19", "two tokens for one path", route + "{host: a.example.com, auth: {scheme: Bearer, token_ref: A}}\n    - {host: A.example.com, auth: {scheme: Bearer, token_ref: B}}"},
		{"C18", "wildcard with a credential", route + `{host: "*.example.com", auth: {scheme: Bearer, token_ref: A}}`},
		{"C18", "wildcard over a private suffix", route + `{host: "*.github.io"}`},
		{"C18", "wildcard over a bucket host", route + `{host: "*.blob.core.windows.net", auth: {scheme: Bearer, token_ref: A}}`},
		{"C18", "credential for a public suffix", route + `{host: vercel.app, auth: {scheme: Bearer, token_ref: A}}`},
		{"M13", "explicit magic host", route + "{host: _egress-proxy.local}"},
		{"M13", "wildcard over the magic host", route + `{host: "*.local"}`},
		{"M13", "wildcard over everything", route + `{host: "*"}`},
	} {
		attack.Stopped(t, tt.id, tt.name, lax(tt.manifest), loads(tt.manifest))
	}
	attack.Stopped(t, "A10", "duplicate key", loads("version: 1\ndefaults: true\n"), loads("version: 1\ndefaults: true\ndefaults: false\n"))
	attack.Stopped(t, "A10", "tab indent", loads("version: 1\negress:\n  allowlist: []\n"), loads("version: 1\negress:\n\tallowlist: []\n"))
}

// An endpoint that acts on its body is allowed as a whole, and the operator is told.
func TestAttackBodyRouting(t *testing.T) {
	silent := func(entry string) attack.Probe {
		return func(t *testing.T) error {
			m, err := ParseManifest("m.yaml", []byte("version: 1\negress_proxy: {routes: [{host: a.example.com, path_allowlist: ["+entry+"]}]}\n"))
			if err != nil {
				return err
			}
			for _, w := range m.Warnings() {
				return errors.New(w.String())
			}
			return nil
		}
	}
	for _, entry := range []string{"/graphql", "/api/GraphQL/", "/jsonrpc", "/batch", "/v1/$batch", "/xmlrpc.php"} {
		attack.Stopped(t, "P16", "body-driven endpoint "+strings.ReplaceAll(entry, "/", "|"), silent("/user"), silent(entry))
	}
}

func TestAttackRoutesFile(t *testing.T) {
	// encoding/json takes both keys for host and keeps the last.
	const folded = `{"routes": [{"host": "allowed.com", "HOST": "evil.com"}]}`
	naive := func(*testing.T) error {
		var v struct {
			Routes []struct {
				Host string `json:"host"`
			} `json:"routes"`
		}
		if err := json.Unmarshal([]byte(folded), &v); err != nil {
			return err
		}
		if v.Routes[0].Host != "evil.com" {
			return fmt.Errorf("read as %s", v.Routes[0].Host)
		}
		return nil
	}
	attack.Stopped(t, "A10", "key in another case", naive, func(*testing.T) error {
		_, err := Parse([]byte(folded), 1)
		return err
	})

	// A reload with garbage leaves nothing to swap in, and an empty one denies.
	evil := query(t, "GET", "https://evil.com/")
	reload := func(file string) attack.Probe {
		return func(t *testing.T) error {
			tab, err := Parse([]byte(file), 2)
			if err != nil {
				return errors.Join(err, passes(tab, evil)(t))
			}
			return passes(tab, evil)(t)
		}
	}
	control := reload(`{"routes": [{"host": "evil.com"}]}`)
	attack.Stopped(t, "A21", "garbage", control, reload(`{"routes": [{"host": "evil.com"}`))
	attack.Stopped(t, "A21", "no bytes", control, reload(""))
	attack.Stopped(t, "A21", "empty table", control, reload(`{"routes": []}`))
	attack.Stopped(t, "P18", "empty path list", control, reload(`{"routes": [{"host": "evil.com", "path_allowlist": []}]}`))
}

// What is judged is what is forwarded: the decision holds for the bytes of the
// target, and every other spelling of the same path is another target.
func TestAttackOtherBytes(t *testing.T) {
	tab := table(t, apiManifest)
	judgedDecoded := func(target string) attack.Probe { // a gate that decodes before it compares
		return func(*testing.T) error {
			u, err := url.ParseRequestURI(target)
			if err != nil {
				return err
			}
			if clean := gopath.Clean(u.Path); clean != "/allowed" && !strings.HasPrefix(clean, "/allowed/") {
				return fmt.Errorf("read as %s", clean)
			}
			return nil
		}
	}
	for _, target := range []string{"/%61llowed", "/x/../allowed", "/x/%2e%2e/allowed", "//allowed", "/allowed%2fx"} {
		q := query(t, "GET", "https://allowed.com/")
		q.Target = target
		control := judgedDecoded(target)
		if target == "//allowed" {
			control = judgedDecoded("/allowed")
		}
		attack.Stopped(t, "P21", "judged decoded, forwarded raw: "+strings.ReplaceAll(target, "/", "|"), control, passes(tab, q))
	}
}

// /allowlist shows the bottle its own routes and not how they are served.
func TestAttackAllowlist(t *testing.T) {
	e := effective(t, fullManifest)
	tab, err := e.Table(1)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"10.0.0.0/8", "X-Api-Key", "github-pat", "GH_PAT"} {
		shows := func(text string) attack.Probe {
			return func(*testing.T) error {
				if !strings.Contains(text, secret) {
					return fmt.Errorf("%q is not in it", secret)
				}
				return nil
			}
		}
		attack.Stopped(t, "M12", "allowlist shows "+strings.ReplaceAll(secret, "/", " "), shows(fullManifest+"X-Api-Key"), shows(string(tab.AllowlistJSON())))
	}
}

package routes

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// table makes a table from a manifest's routes, without the default hosts.
func table(t testing.TB, manifest string) *Table {
	t.Helper()
	m, err := ParseManifest("test.yaml", []byte("version: 1\ndefaults: false\n"+manifest))
	if err != nil {
		t.Fatal(err)
	}
	e, err := m.Effective()
	if err != nil {
		t.Fatal(err)
	}
	tab, err := e.Table(7)
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

// query makes the query of a client that asks for rawURL over a connection of
// its own to that host.
func query(t testing.TB, method, rawURL string) Query {
	t.Helper()
	scheme, rest, ok := strings.Cut(rawURL, "://")
	if !ok {
		t.Fatalf("no scheme in %q", rawURL)
	}
	port := uint16(443)
	if scheme == "http" {
		port = 80
	}
	host, target := rest, ""
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		host, target = rest[:i], rest[i:]
	}
	a, err := ParseAuthority(host, port)
	if err != nil {
		t.Fatal(err)
	}
	q := Query{Scheme: scheme, Authority: a, Method: method, Target: target}
	if _, literal := a.Host.Addr(); scheme == "https" && !literal {
		q.SNI = a.Host
	}
	return q
}

const decideManifest = `
egress:
  allowlist: [docs.example.com, "*.wild.example.com", "*.amazonaws.com"]
egress_proxy:
  routes:
    - host: api.github.com
      path_allowlist: ["/repos/acme/", "/user", "/v*/items/*/tags", "/search%5B1%5D"]
      auth: {scheme: Bearer, token_ref: GH_PAT}
    - host: multi.example.com
    - host: multi.example.com
      path_allowlist: ["/admin"]
      methods: [GET]
    - {host: closed.example.com, path_allowlist: []}
    - {host: rooted.example.com, path_allowlist: ["/"]}
    - {host: read.example.com, methods: [GET, HEAD]}
    - {host: track.example.com, methods: [TRACK, CONNECT]}
    - {host: odd.example.com, ports: [8443]}
    - {host: narrow.wild.example.com, path_allowlist: ["/ok"]}
    - {host: git.example.com, protocol: tcp, ports: [22]}
    - {host: git.example.com}
    - {host: pinned.example.com, protocol: tls-passthrough}
    - {host: 10.1.2.3, allow_private: [10.1.2.3/32]}
`

func TestDecide(t *testing.T) {
	tab := table(t, decideManifest)
	for _, tt := range []struct {
		method, url string
		want        Reason
	}{
		{"GET", "https://docs.example.com/", ReasonAllowed},
		{"GET", "http://docs.example.com/", ReasonAllowed},
		{"GET", "https://DOCS.example.com./a?b=c#", ReasonMalformed},
		{"GET", "https://DOCS.example.com./a?b=../c", ReasonAllowed},
		{"GET", "https://docs.example.com/@scope%2fname", ReasonAllowed},
		{"GET", "https://docs.example.com/a/../b//c;d", ReasonAllowed},
		{"GET", "https://docs.example.com//evil.example.com/", ReasonMalformed},
		{"GET", `https://docs.example.com/\evil`, ReasonMalformed},
		{"GET", "https://docs.example.com/a b", ReasonMalformed},
		{"GET", "https://docs.example.com/\x00", ReasonMalformed},
		{"GET", "https://docs.example.com/é", ReasonMalformed},
		{"GET", "https://docs.example.com/%zz", ReasonMalformed},
		{"GET", "https://docs.example.com/%", ReasonMalformed},
		{"GET", "https://docs.example.com", ReasonMalformed},
		{"GET", "https://docs.example.com?x", ReasonMalformed},
		{"get", "https://docs.example.com/", ReasonAllowed}, // another method than GET, and nobody restricted it
		{"G T", "https://docs.example.com/", ReasonMalformed},
		{"", "https://docs.example.com/", ReasonMalformed},
		{"TRACE", "https://docs.example.com/", ReasonMethodForbid},
		{"trace", "https://docs.example.com/", ReasonMethodForbid},
		{"TRACK", "https://docs.example.com/", ReasonMethodForbid},
		{"CONNECT", "https://docs.example.com/", ReasonMethodForbid},
		{"TRACK", "https://track.example.com/", ReasonAllowed},
		{"track", "https://track.example.com/", ReasonMethodForbid},
		{"TRACE", "https://track.example.com/", ReasonMethodForbid},
		{"GET", "https://docs.example.com:8443/", ReasonPort},
		{"GET", "http://docs.example.com:443/", ReasonScheme},
		{"GET", "https://docs.example.com:80/", ReasonScheme},
		{"GET", "https://other.example.com/", ReasonHost},
		{"GET", "https://docs.example.com.evil.com/", ReasonHost},
		{"GET", "https://evildocs.example.com/", ReasonHost},
		{"GET", "https://example.com/", ReasonHost},

		{"GET", "https://api.github.com/repos/acme/x?y=/../z", ReasonAllowed},
		{"GET", "https://api.github.com/repos/acme/", ReasonAllowed},
		{"GET", "https://api.github.com/repos/acme", ReasonPath},
		{"GET", "https://api.github.com/repos/acme2", ReasonPath},
		{"GET", "https://api.github.com/repos/ACME/x", ReasonPath},
		{"GET", "https://api.github.com/user", ReasonAllowed},
		{"GET", "https://api.github.com/user/", ReasonAllowed},
		{"GET", "https://api.github.com/user/keys", ReasonAllowed},
		{"GET", "https://api.github.com/users", ReasonPath},
		{"GET", "https://api.github.com/", ReasonPath},
		{"GET", "https://api.github.com/%75ser", ReasonPath},
		{"GET", "https://api.github.com/user/%75", ReasonAllowed},
		{"GET", "https://api.github.com/v2/items/7/tags/x", ReasonAllowed},
		{"GET", "https://api.github.com/v2/items//tags", ReasonAmbiguous},
		{"GET", "https://api.github.com/v2/items/7/8/tags", ReasonPath},
		{"GET", "https://api.github.com/search%5B1%5D", ReasonAllowed},
		{"GET", "https://api.github.com/search%5b1%5d", ReasonPath},
		{"GET", "https://api.github.com/search[1]", ReasonAmbiguous},
		{"GET", "https://api.github.com/user/@scope%2fname", ReasonAmbiguous},
		{"GET", "http://api.github.com/user", ReasonPort},
		{"GET", "https://closed.example.com/", ReasonPath},
		{"GET", "https://rooted.example.com/any/thing", ReasonAllowed},
		{"GET", "https://rooted.example.com/any/../thing", ReasonAmbiguous},

		{"GET", "https://multi.example.com/admin", ReasonAllowed},
		{"POST", "https://multi.example.com/admin/x", ReasonMethod},
		{"POST", "https://multi.example.com/admins", ReasonAllowed},
		{"POST", "https://multi.example.com/%61dmin", ReasonAmbiguous},
		{"POST", "https://multi.example.com/x/../admin", ReasonAmbiguous},
		{"POST", "https://read.example.com/", ReasonMethod},
		{"HEAD", "https://read.example.com/", ReasonAllowed},

		{"GET", "https://odd.example.com:8443/", ReasonAllowed},
		{"GET", "http://odd.example.com:8443/", ReasonAllowed},
		{"GET", "https://odd.example.com/", ReasonPort},

		{"GET", "https://a.wild.example.com/", ReasonAllowed},
		{"GET", "https://a.b.wild.example.com/", ReasonAllowed},
		{"GET", "https://wild.example.com/", ReasonHost},
		{"GET", "https://evilwild.example.com/", ReasonHost},
		{"GET", "https://narrow.wild.example.com/ok", ReasonAllowed},
		{"GET", "https://narrow.wild.example.com/other", ReasonPath},
		{"GET", "https://sts.amazonaws.com/", ReasonAllowed},
		{"GET", "https://evil.s3.amazonaws.com/", ReasonHost},

		{"GET", "https://git.example.com/", ReasonAllowed},
		{"GET", "https://git.example.com:22/", ReasonProtocol},
		{"GET", "https://pinned.example.com/", ReasonProtocol},
		{"GET", "https://10.1.2.3/", ReasonAllowed},
		{"GET", "https://10.1.2.4/", ReasonHost},
		{"GET", "https://_egress-proxy.local/", ReasonReserved},
		{"GET", "http://egress-proxy/", ReasonReserved},
		{"GET", "http://localhost/", ReasonReserved},
		{"GET", "http://intranet/", ReasonUnqualified},
	} {
		d := tab.Decide(query(t, tt.method, tt.url))
		if d.Reason != tt.want || d.Allowed() != (tt.want == ReasonAllowed) {
			t.Errorf("%s %q: %s (%s), want %s", tt.method, tt.url, d.Reason, d.Detail, tt.want)
		}
		if d.Generation != 7 || (d.Detail == "") != d.Allowed() {
			t.Errorf("%s %q: generation %d, detail %q", tt.method, tt.url, d.Generation, d.Detail)
		}
	}
}

// A denial that the operator can lift names the tools that ask for it.
func TestDetailNamesTheTools(t *testing.T) {
	d := table(t, decideManifest).Decide(query(t, "GET", "https://other.example.com/"))
	for _, word := range []string{"other.example.com", BlockTool, ListTool} {
		if !strings.Contains(d.Detail, word) {
			t.Errorf("detail %q does not name %s", d.Detail, word)
		}
	}
}

func TestDecideTLS(t *testing.T) {
	tab := table(t, decideManifest)
	good := query(t, "GET", "https://api.github.com/user")
	if d := tab.Decide(good); !d.Allowed() || d.Route.Auth.Slot != "EGRESS_PROXY_TOKEN_0" {
		t.Fatalf("control: %+v", d)
	}
	other := query(t, "GET", "https://docs.example.com/").Authority.Host
	for name, tt := range map[string]struct {
		change func(*Query)
		want   Reason
	}{
		"SNI of another allowed host": {func(q *Query) { q.SNI = other }, ReasonMismatch},
		"no SNI":                      {func(q *Query) { q.SNI = Host{} }, ReasonNoSNI},
		"http with SNI":               {func(q *Query) { q.Scheme = "http" }, ReasonMalformed},
		"no scheme":                   {func(q *Query) { q.Scheme = "" }, ReasonMalformed},
		"HTTPS":                       {func(q *Query) { q.Scheme = "HTTPS" }, ReasonMalformed},
		"no host":                     {func(q *Query) { q.Authority.Host = Host{} }, ReasonMalformed},
		"no port":                     {func(q *Query) { q.Authority.Port = 0 }, ReasonMalformed},
		"no target":                   {func(q *Query) { q.Target = "" }, ReasonMalformed},
		"asterisk":                    {func(q *Query) { q.Target = "*" }, ReasonMalformed},
		"absolute form":               {func(q *Query) { q.Target = "http://api.github.com/user" }, ReasonMalformed},
		"long target":                 {func(q *Query) { q.Target = "/user?" + strings.Repeat("a", maxTarget) }, ReasonMalformed},
	} {
		q := good
		tt.change(&q)
		if d := tab.Decide(q); d.Reason != tt.want || d.Allowed() {
			t.Errorf("%s: %s, want %s", name, d.Reason, tt.want)
		}
	}
	cleartext := table(t, "egress_proxy: {routes: [{host: a.example.com, ports: [8080], auth: {scheme: Bearer, token_ref: T}}]}")
	if d := cleartext.Decide(query(t, "GET", "http://a.example.com:8080/")); d.Reason != ReasonCleartext || d.Allowed() {
		t.Errorf("http on a route with auth: %+v", d)
	}
}

func TestZeroValuesDeny(t *testing.T) {
	var none *Table
	q, h := query(t, "GET", "https://docs.example.com/"), Hello{}
	h.Authority = q.Authority
	for name, tab := range map[string]*Table{"nil": none, "zero": {}, "empty": table(t, "")} {
		if d := tab.Decide(q); d.Allowed() || d.Reason != ReasonNoTable {
			t.Errorf("%s table: %+v", name, d)
		}
		if d := tab.DecideHello(h); d.Allowed() || d.Reason != ReasonNoTable {
			t.Errorf("%s table, hello: %+v", name, d)
		}
	}
	tab := table(t, decideManifest)
	if tab.Decide(Query{}).Allowed() || tab.DecideHello(Hello{}).Allowed() || (Decision{}).Allowed() || (Decision{Verdict: Allow}).Allowed() {
		t.Error("a zero value is allowed")
	}
	if (Pattern{}).Matches(Host{}) || (Pattern{}).Matches(q.SNI) {
		t.Error("a zero pattern matches")
	}
	for _, r := range []*Route{nil, {}, {Host: Exact(q.SNI)}, {Host: Exact(q.SNI), Protocol: 9, AnyPath: true}, {Host: Exact(q.SNI), Protocol: HTTP, Paths: []PathPattern{{}}}} {
		if _, err := NewTable([]*Route{r}, 0); err == nil {
			t.Errorf("a table takes %+v", r)
		}
	}
	closed, err := NewTable([]*Route{{Host: Exact(q.SNI), Protocol: HTTP}}, 0)
	if err != nil || closed.Decide(q).Allowed() {
		t.Errorf("a route without paths and AnyPath allows: %v", err)
	}
}

func TestDecideHello(t *testing.T) {
	tab := table(t, decideManifest)
	host := func(s string) Host {
		if s == "" {
			return Host{}
		}
		a, err := ParseAuthority(s, 1)
		if err != nil {
			t.Fatal(err)
		}
		return a.Host
	}
	for _, tt := range []struct {
		dst  string
		port uint16
		tls  bool
		sni  string
		want Reason
		as   Protocol
	}{
		{"docs.example.com", 443, true, "docs.example.com", ReasonAllowed, HTTP},
		{"192.0.2.1", 443, true, "docs.example.com", ReasonAllowed, HTTP},
		{"", 443, true, "docs.example.com", ReasonAllowed, HTTP},
		{"docs.example.com", 80, false, "", ReasonAllowed, HTTP},
		{"docs.example.com", 80, true, "docs.example.com", ReasonScheme, 0},
		{"docs.example.com", 443, true, "", ReasonNoSNI, 0},
		{"docs.example.com", 443, true, "api.github.com", ReasonMismatch, 0},
		{"other.example.com", 443, true, "other.example.com", ReasonHost, 0},
		{"docs.example.com", 443, false, "docs.example.com", ReasonMalformed, 0},
		{"10.1.2.3", 443, true, "", ReasonAllowed, HTTP},
		{"git.example.com", 22, false, "", ReasonAllowed, TCP},
		{"git.example.com", 22, true, "evil.example.com", ReasonAllowed, TCP}, // opaque: dialled by the name it was connected to
		{"192.0.2.1", 22, true, "git.example.com", ReasonProtocol, 0},
		{"git.example.com", 23, false, "", ReasonPort, 0},
		{"pinned.example.com", 443, true, "pinned.example.com", ReasonAllowed, TLSPassthrough},
		{"pinned.example.com", 443, true, "", ReasonNoSNI, 0},
		{"pinned.example.com", 443, false, "", ReasonProtocol, 0},
		{"192.0.2.1", 443, true, "", ReasonHost, 0},
		{"_egress-proxy.local", 443, true, "docs.example.com", ReasonMismatch, 0},
		{"docs.example.com", 443, true, "_egress-proxy.local", ReasonMismatch, 0},
		{"_egress-proxy.local", 443, true, "_egress-proxy.local", ReasonReserved, 0},
		{"docs.example.com", 0, true, "docs.example.com", ReasonMalformed, 0},
	} {
		h := Hello{TLS: tt.tls, SNI: host(tt.sni), Authority: Authority{Host: host(tt.dst), Port: tt.port}}
		d := tab.DecideHello(h)
		if d.Reason != tt.want || d.Allowed() != (tt.want == ReasonAllowed) || d.Allowed() && d.Route.Protocol != tt.as {
			t.Errorf("%s:%d tls=%v sni=%q: %+v, want %s", tt.dst, tt.port, tt.tls, tt.sni, d, tt.want)
		}
	}
}

// The order of the routes changes nothing (attack P19).
func TestOrderChangesNothing(t *testing.T) {
	tab := table(t, decideManifest)
	urls := []string{
		"https://multi.example.com/admin", "https://multi.example.com/other", "https://narrow.wild.example.com/ok",
		"https://api.github.com/user", "https://git.example.com/", "https://a.wild.example.com/",
	}
	list := append([]*Route(nil), tab.Routes()...)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		shuffled, err := NewTable(list, 7)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range urls {
			for _, method := range []string{"GET", "POST"} {
				q := query(t, method, u)
				a, b := tab.Decide(q), shuffled.Decide(q)
				if a.Verdict != b.Verdict || a.Reason != b.Reason || a.Allowed() && a.Route != b.Route {
					t.Fatalf("%s %s: %+v, and shuffled %+v", method, u, a, b)
				}
			}
		}
	}
}

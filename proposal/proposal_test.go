package proposal_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"bottled/proposal"
	"bottled/routes"
)

const why = "the build needs it"

func TestShownAsItIsGranted(t *testing.T) {
	for _, c := range []struct {
		name string
		made func() (proposal.Proposal, error)
		want string
	}{
		{"plain", route("API.GitHub.com.", nil, nil), "route to api.github.com: every method on every path"},
		{"sorted and once each", route("a.example.com", []string{"/b", "/a/", "/b"}, []string{"POST", "GET", "POST"}), "route to a.example.com: GET POST on /a/ /b"},
		{"A-label", route("bücher.example", nil, nil), "route to xn--bcher-kva.example: every method on every path"},
		{"look-alike", route("аpi.github.com", nil, nil), "route to xn--pi-6kc.github.com: every method on every path"},
		{"wildcard", route("*.example.com", nil, nil), "route to *.example.com: every method on every path"},
		{"exemption", match("github-pat", "0123456789abcdef", "01J", "/v2", "/v1/"), "exemption from rule github-pat: match 0123456789abcdef alone, of request 01J, on the route to a.example.com: POST PUT on /v1/ /v2 of port 443 8443"},
		{"whole rule", exemption("github-pat", "a.example.com"), "exemption from rule github-pat to a.example.com: every match"},
		{"capability", capability("mounts", "read\n\x1b[2J/opt\u202e/sdk"), "change of the bottle's mounts: read �[2J/opt�/sdk"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := c.made()
			if err != nil {
				t.Fatal(err)
			}
			if got := p.String(); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
			if p.Reason() != why {
				t.Errorf("reason %q", p.Reason())
			}
		})
	}
}

func TestRefusesWhatNobodyCouldGrant(t *testing.T) {
	long := strings.Repeat("a", 300)
	many := make([]string, 17)
	for i := range many {
		many[i] = "/" + long[:i+1]
	}
	for _, c := range []struct {
		name string
		made func() (proposal.Proposal, error)
		want string // in the error, which has to help
	}{
		{"everything", route("*", nil, nil), "name the hosts"},
		{"public suffix", route("*.co.uk", nil, nil), "public suffix"},
		{"private suffix", route("*.github.io", nil, nil), "public suffix"},
		{"magic host", route("_egress-proxy.local", nil, nil), "reserved"},
		{"magic host, other spelling", route("_EGRESS-PROXY.local.", nil, nil), "reserved"},
		{"over the magic host", route("*.local", nil, nil), "reserved"},
		{"proxy name", route("egress-proxy", nil, nil), "reserved"},
		{"loopback name", route("localhost", nil, nil), "reserved"},
		{"single label", route("intranet", nil, nil), "has no dot"},
		{"metadata", route("169.254.169.254", nil, nil), "metadata service"},
		{"metadata over IPv6", route("fd00:ec2::254", nil, nil), "metadata service"},
		{"metadata in private space", route("100.100.100.200", nil, nil), "metadata service"},
		{"private", route("10.0.0.1", nil, nil), "capability-block"},
		{"loopback", route("127.0.0.1", nil, nil), "capability-block"},
		{"link-local", route("169.254.1.1", nil, nil), "name the host"},
		{"unspecified", route("0.0.0.0", nil, nil), "name the host"},
		{"multicast", route("224.0.0.1", nil, nil), "name the host"},
		{"mapped", route("::ffff:169.254.169.254", nil, nil), "IPv4"},
		{"decimal address", route("2852039166", nil, nil), "ends in a number"},
		{"URL", route("https://a.example.com/x", nil, nil), "write the host alone"},
		{"port", route("a.example.com:22", nil, nil), "holds a port"},
		{"no host", route("", nil, nil), "host is empty"},
		{"bidi in the host", route("a\u202emoc.example.com", nil, nil), "invisible"},
		{"NUL in the host", route("a.example.com\x00.evil", nil, nil), "not a valid host"},
		{"dot segments", route("a.example.com", []string{"/a/../b"}, nil), "dot segment"},
		{"control in a path", route("a.example.com", []string{"/a\x1b[2J"}, nil), "can never be allowed"},
		{"relative path", route("a.example.com", []string{"etc/passwd"}, nil), "slash"},
		{"long path", route("a.example.com", []string{"/" + long}, nil), "too long to be shown"},
		{"many paths", route("a.example.com", many, nil), "at most 16"},
		{"TRACE", route("a.example.com", nil, []string{"TRACE"}), "TRACE"},
		{"CONNECT", route("a.example.com", nil, []string{"CONNECT"}), "only a manifest"},
		{"TRACK", route("a.example.com", nil, []string{"TRACK"}), "only a manifest"},
		{"no method", route("a.example.com", nil, []string{"get it"}), "not an HTTP method"},
		{"many methods", route("a.example.com", nil, many), "limit is 16"},
		{"no rule", exemption("", "a.example.com"), "field rule"},
		{"rule with a space", exemption("github pat", "a.example.com"), "field rule"},
		{"exempt host", exemption("github-pat", "*.com"), "public suffix"},
		{"fingerprint", match("github-pat", "xyz", "01J"), "16 hex digits"},
		{"no match", match("too-large", "", "01J"), "nothing was found"},
		{"unknown rule", exemption("gihtub-pat", "a.example.com"), `did you mean "github-pat"`},
		{"a key, found by its start", match("private-key", "0123456789abcdef", "01J"), "begin alike"},
		{"token", exemption("secret:EGRESS_PROXY_TOKEN_0", "a.example.com"), "nothing exempts it"},
		{"too many paths", match("github-pat", "0123456789abcdef", "01J", strings.Fields("/a /b /c /d /e /f /g /h /i /j /k /l /m /n /o /p /q")...), "manifest"},
		{"request id", match("github-pat", "0123456789abcdef", "a b"), "request_id"},
		{"area", capability("network", "a veth pair"), "environment, limits, mounts"},
		{"no change", capability("mounts", " \n"), "1 to 500"},
		{"change that would be cut", capability("mounts", strings.Repeat("é", 501)), "1 to 500"},
		{"no reason", func() (proposal.Proposal, error) { return proposal.ForRoute("a.example.com", nil, nil, "\n") }, "a person decides"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := c.made()
			if err == nil {
				t.Fatalf("taken as %q", p)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q does not say %q", err, c.want)
			}
			if p.Kind() != 0 {
				t.Errorf("an error with a proposal of kind %v", p.Kind())
			}
		})
	}
}

func TestGrantedIsWhatWasShown(t *testing.T) {
	for _, c := range []struct {
		made    func() (proposal.Proposal, error)
		allowed []string
		denied  []string
	}{
		{route("a.example.com", nil, nil), []string{"GET a.example.com /", "DELETE a.example.com /x"}, []string{"GET b.example.com /", "TRACE a.example.com /", "CONNECT a.example.com /"}},
		{route("a.example.com", []string{"/docs"}, []string{"GET"}), []string{"GET a.example.com /docs/x"}, []string{"POST a.example.com /docs", "GET a.example.com /doc", "GET a.example.com /"}},
		{route("*.example.com", nil, nil), []string{"GET a.example.com /"}, []string{"GET example.com /", "GET evilexample.com /"}},
	} {
		p, err := c.made()
		if err != nil {
			t.Fatal(err)
		}
		r, ok := p.Route()
		if !ok {
			t.Fatalf("%q has no route", p)
		}
		table, err := routes.NewTable([]*routes.Route{r.Granted()}, 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, request := range append(c.allowed, c.denied...) {
			f := strings.Fields(request)
			authority, err := routes.ParseAuthority(f[1], 443)
			if err != nil {
				t.Fatal(err)
			}
			d := table.Decide(routes.Query{Scheme: "https", SNI: authority.Host, Authority: authority, Method: f[0], Target: f[2]})
			if d.Allowed() != slices.Contains(c.allowed, request) {
				t.Errorf("%q: %s is %v: %s", p, request, d.Verdict, d.Reason)
			}
		}
	}
}

func TestIDIsWhatIsAskedDigestIsWhatIsShown(t *testing.T) {
	ask := func(reason, request string) proposal.Proposal {
		m, err := match("github-pat", "0123456789abcdef", request)()
		if err != nil {
			t.Fatal(err)
		}
		text, _ := json.Marshal(m)
		var p proposal.Proposal
		if err = json.Unmarshal([]byte(strings.Replace(string(text), why, reason, 1)), &p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	a, b, c := ask("one", "r1"), ask("two", "r1"), ask("one", "r2")
	if a.ID() != b.ID() || a.ID() != c.ID() {
		t.Error("the same request in other words has another id")
	}
	if a.Digest() == b.Digest() || a.Digest() == c.Digest() {
		t.Error("what is shown differs, and the digest does not")
	}
	whole, _ := exemption("github-pat", "a.example.com")()
	path, _ := match("github-pat", "0123456789abcdef", "r1", "/v1")()
	other, _ := match("github-pat", "0123456789abcde0", "r1")()
	for _, o := range []proposal.Proposal{whole, path, other} {
		if a.ID() == o.ID() {
			t.Errorf("another request has the same id: %v", o)
		}
	}
	if agent := a.ForAgent(); strings.Contains(agent, "0123456789abcdef") || !strings.Contains(agent, "request r1") {
		t.Errorf("the agent is told %q", agent)
	}
	if len(a.ID()) != 32 || len(a.Digest()) != 64 {
		t.Errorf("id %q, digest %q", a.ID(), a.Digest())
	}
}

func TestReasonIsCut(t *testing.T) {
	p, err := proposal.ForRoute("a.example.com", nil, nil, strings.Repeat("word ", 1000))
	if err != nil {
		t.Fatal(err)
	}
	if n := len([]rune(p.Reason())); n > 501 || !strings.HasSuffix(p.Reason(), "…") {
		t.Errorf("%d characters, ends in %q", n, p.Reason()[len(p.Reason())-8:])
	}
}

func TestOnlyACapabilityNeedsARelaunch(t *testing.T) {
	for k, want := range map[proposal.Kind]bool{proposal.KindRoute: false, proposal.KindExemption: false, proposal.KindCapability: true} {
		if k.Relaunch() != want {
			t.Errorf("%v: %v", k, k.Relaunch())
		}
	}
}

func route(host string, paths, methods []string) func() (proposal.Proposal, error) {
	return func() (proposal.Proposal, error) { return proposal.ForRoute(host, paths, methods, why) }
}

func exemption(rule, host string) func() (proposal.Proposal, error) {
	return func() (proposal.Proposal, error) { return proposal.ForExemption(rule, host, why) }
}

// match is one on a route to a.example.com with that path list.
func match(rule, fingerprint, request string, paths ...string) func() (proposal.Proposal, error) {
	return func() (proposal.Proposal, error) {
		host, err := routes.ParsePattern("a.example.com")
		if err != nil {
			return proposal.Proposal{}, err
		}
		r := &routes.Route{Host: host, Protocol: routes.HTTP, AnyPath: len(paths) == 0, Methods: []string{"PUT", "POST"}, Ports: []uint16{8443, 443}}
		for _, p := range paths {
			entry, err := routes.ParsePathPattern(p)
			if err != nil {
				return proposal.Proposal{}, err
			}
			r.Paths = append(r.Paths, entry)
		}
		return proposal.ForMatch(proposal.Match{RequestID: request, Rule: rule, Fingerprint: fingerprint, Route: r}, why)
	}
}

func capability(area, change string) func() (proposal.Proposal, error) {
	return func() (proposal.Proposal, error) { return proposal.ForCapability(area, change, why) }
}

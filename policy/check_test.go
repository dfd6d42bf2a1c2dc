package policy

import (
	"strings"
	"testing"

	"bottled/routes"
)

var (
	rootUser = Subject{UID: 0, Groups: []uint32{0}}
	alice    = Subject{UID: 1000, Groups: []uint32{1000, 2000}}
	mallory  = Subject{UID: 6666, Groups: []uint32{6666}}
)

func parse(t *testing.T, text string) *Policy {
	t.Helper()
	p, err := Parse("policy.yaml", []byte("version: 1\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func checkManifest(t *testing.T, p *Policy, s Subject, text string) error {
	t.Helper()
	m, err := routes.ParseManifest("bottle.yaml", []byte("version: 1\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	e, err := m.Effective()
	if err != nil {
		t.Fatal(err)
	}
	return p.Check(s, m, e)
}

const bare = "defaults: false\n"

func route(text string) string { return bare + "egress_proxy:\n  routes:\n    - {" + text + "}\n" }

// TestTheFloor holds, for each rule, a manifest that it refuses and one beside it
// that it does not.
func TestTheFloor(t *testing.T) {
	never := func(entry string) string { return "hosts: {never: [\"" + entry + "\"]}\n" }
	for _, c := range []struct {
		name, policy, refused, allowed string
		rule                           string // that the refusal names
	}{
		{"exact", never("db.example.com"), route(`host: db.example.com`), route(`host: db2.example.com`), "policy.yaml:2: hosts.never[0]: db.example.com may never"},
		{"other spelling", never("DB.Example.com."), route(`host: db.example.COM`), route(`host: b.example.com`), "hosts.never[0]"},
		{"IDNA", never("bücher.example.com"), route(`host: xn--bcher-kva.example.com`), route(`host: buecher.example.com`), "hosts.never[0]"},
		{"wildcard reaches a host", never("db.example.com"), route(`host: "*.example.com"`), route(`host: "*.web.example.com"`), "name the hosts"},
		{"wildcard reaches a deep host", never("a.b.db.example.com"), route(`host: "*.example.com"`), route(`host: "*.a.b.db.example.com"`), "name the hosts"},
		{"below a zone", never("*.corp.example.com"), route(`host: a.b.corp.example.com`), route(`host: corp.example.com`), "hosts.never[0]"},
		{"the zone itself as a wildcard", never("*.corp.example.com"), route(`host: "*.corp.example.com"`), route(`host: "*.web.example.com"`), "hosts.never[0]"},
		{"wildcard below a zone", never("*.example.com"), route(`host: "*.web.example.com"`), route(`host: example.com`), "hosts.never[0]"},
		{"wildcard above a zone", never("*.corp.example.com"), route(`host: "*.example.com"`), route(`host: "*.example.org"`), "hosts.never[0]"},
		{"a suffix that is no zone", never("*.example.com"), route(`host: a.example.com`), route(`host: evilexample.com`), "hosts.never[0]"},
		{"zone over a public suffix", never("*.s3.amazonaws.com"), route(`host: evil.s3.amazonaws.com`), route(`host: sts.amazonaws.com`), "hosts.never[0]"},
		{"top-level zone", never("*.zip"), route(`host: evil.zip`), route(`host: zip.example.com`), "hosts.never[0]"},
		{"allowlist", never("db.example.com"), bare + "egress: {allowlist: [db.example.com]}\n", bare + "egress: {allowlist: [a.example.com]}\n", "remove the route"},
		{"default host", never("sentry.io"), "", bare, "defaults: false"},
		{"address", never("192.0.2.7"), route(`host: 192.0.2.7`), route(`host: 192.0.2.8`), "192.0.2.7 may never"},
		{"range", never("10.0.0.0/8"), route(`host: 10.1.2.3`), route(`host: 11.1.2.3`), "10.0.0.0/8 may never"},
		{"IPv6 range", never("fd00::/8"), route(`host: "fd00::1"`), route(`host: "fc00::1"`), "fd00::/8 may never"},
		{"range opened", never("10.1.0.0/16"), route(`host: a.example.com, allow_private: [10.0.0.0/8]`), route(`host: a.example.com, allow_private: [10.2.0.0/16]`), "would open it"},
		{"address opened", never("10.1.0.9"), route(`host: a.example.com, allow_private: [10.1.0.0/16]`), route(`host: a.example.com, allow_private: [10.1.0.8/32]`), "would open it"},
		{"proxy", never("proxy.example.com"), bare + "upstream_proxy: {url: \"http://proxy.example.com:3128\"}\n", bare + "upstream_proxy: {url: \"http://other.example.com:3128\"}\n", "upstream_proxy is there"},
		{"no allow_private", "may: {allow_private: false}\n", route(`host: a.example.com, allow_private: [10.0.0.0/8]`), route(`host: a.example.com`), "policy.yaml:2: may.allow_private"},
		{"no addresses", "may: {addresses: false}\n", route(`host: 192.0.2.7`), route(`host: a.example.com`), "may.addresses"},
		{"no weaker mode", "may: {dlp: false}\n", bare + "dlp: {mode: warn}\n", bare + "dlp: {mode: redact}\n", "policy.yaml:2: may.dlp: you may not weaken the scanner, as dlp.mode: warn does"},
		{"no weaker mode of a route", "may: {dlp: false}\n", route(`host: a.example.com, dlp: {mode: warn}`), route(`host: a.example.com, dlp: {mode: redact}`), "the route to a.example.com"},
		{"no exempt rule", "may: {dlp: false}\n", bare + "dlp: {exempt: [github-pat]}\n", bare + "dlp: {exempt: []}\n", "dlp.exempt does"},
		{"no exempt match", "may: {dlp: false}\n", route(`host: a.example.com, dlp: {exempt: [{rule: github-pat, fingerprint: "0123456789abcdef"}]}`), route(`host: a.example.com, dlp: {mode: block}`), "may.dlp"},
		{"nothing unread", "may: {dlp: false}\n", route(`host: a.example.com, dlp: {unreadable: warn}`), route(`host: a.example.com, dlp: {unreadable: block}`), "unreadable: warn"},
		{"no tcp", "may: {tcp: false}\n", route(`host: a.example.com, protocol: tcp, ports: [22]`), route(`host: a.example.com, protocol: tls-passthrough`), "may.tcp"},
		{"no passthrough", "may: {tls_passthrough: false}\n", route(`host: a.example.com, protocol: tls-passthrough`), route(`host: a.example.com, protocol: tcp, ports: [22]`), "may.tls_passthrough"},
		{"no upstream_ca", "may: {upstream_ca: false}\n", bare + "upstream_ca: ca.pem\n", bare, "may.upstream_ca"},
		{"no upstream_proxy", "may: {upstream_proxy: false}\n", bare + "upstream_proxy: {url: \"http://p.example.com:1\"}\n", bare, "may.upstream_proxy"},
		{"no user_namespaces", "may: {user_namespaces: false}\n", bare + "bottle: {user_namespaces: true}\n", bare + "bottle: {user_namespaces: false}\n", "may.user_namespaces"},
		{"too much memory", "limits: {bottle: {memory: 1GiB}}\n", bare + "bottle: {limits: {memory: 1025MiB}}\n", bare + "bottle: {limits: {memory: 1GiB, processes: 64}}\n", "limits.bottle: bottle.limits.memory is more"},
		{"too many processes", "limits: {bottle: {processes: 64, memory: 1GiB}}\n", bare + "bottle: {limits: {processes: 65}}\n", bare, "bottle.limits.processes"},
		{"too many cores", "limits: {bottle: {cpus: 0.5}}\n", bare + "bottle: {limits: {cpus: 0.501}}\n", bare + "bottle: {limits: {cpus: 0.5}}\n", "bottle.limits.cpus"},
		{"for others", "may: {tcp: {users: [1001], groups: [2001]}}\n", route(`host: a.example.com, protocol: tcp, ports: [22]`), bare, "may.tcp"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := parse(t, c.policy)
			if err := checkManifest(t, p, alice, c.allowed); err != nil {
				t.Errorf("refused what the rule does not cover: %v", err)
			}
			if err := checkManifest(t, parse(t, ""), alice, c.refused); err != nil {
				t.Errorf("refused without the rule, so this shows nothing: %v", err)
			}
			err := checkManifest(t, p, alice, c.refused)
			if err == nil {
				t.Fatal("allowed")
			}
			if !strings.Contains(err.Error(), c.rule) {
				t.Errorf("the refusal %q does not say %q", err, c.rule)
			}
			if strings.Contains(c.policy, "false") || strings.Contains(c.policy, "never") {
				if checkManifest(t, p, rootUser, c.refused) == nil {
					t.Error("the floor does not hold for root")
				}
			}
		})
	}
}

func TestAllRefusalsAreTold(t *testing.T) {
	p := parse(t, "hosts: {never: [a.example.com]}\nmay: {tcp: false}\n")
	err := checkManifest(t, p, alice, bare+"egress: {allowlist: [a.example.com]}\negress_proxy: {routes: [{host: b.example.com, protocol: tcp, ports: [22]}]}\n")
	if err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("want two lines, got %v", err)
	}
}

func TestLeaveByUserAndGroup(t *testing.T) {
	tcp := route(`host: a.example.com, protocol: tcp, ports: [22]`)
	for _, rule := range []string{"{users: [1000]}", `{users: ["1000"]}`, "{groups: [2000]}", "{groups: [1000]}", "true"} {
		if err := checkManifest(t, parse(t, "may: {tcp: "+rule+"}\n"), alice, tcp); err != nil {
			t.Errorf("%s: %v", rule, err)
		}
	}
}

func TestWhoMayLaunch(t *testing.T) {
	p := parse(t, "launch: {groups: [2000]}\n")
	for _, s := range []Subject{rootUser, alice} {
		if err := checkManifest(t, p, s, bare); err != nil {
			t.Errorf("uid %d: %v", s.UID, err)
		}
	}
	if err := checkManifest(t, p, mallory, bare); err == nil || !strings.Contains(err.Error(), "policy.yaml:2: launch") {
		t.Errorf("uid %d: %v", mallory.UID, err)
	}
	if err := checkManifest(t, parse(t, "launch: {users: []}\n"), alice, bare); err == nil {
		t.Error("an empty list lets everybody launch")
	}
}

func TestLimits(t *testing.T) {
	p := parse(t, "limits: {bottles: 3, total: 9, users: {\"1000\": 5, daemon: 0}}\n")
	for s, want := range map[*Subject]int{&rootUser: 9, &alice: 5, &mallory: 3, {UID: 1}: 0} {
		if own, total := p.Bottles(*s); own != want || total != 9 {
			t.Errorf("uid %d: %d of %d; want %d of 9", s.UID, own, total, want)
		}
	}
	if own, total := Default().Bottles(alice); own != 64 || total != 1024 {
		t.Errorf("default: %d of %d", own, total)
	}
}

// TestTheZeroPolicyDenies holds every question against nil and the zero value, whose
// positive control is the default.
func TestTheZeroPolicyDenies(t *testing.T) {
	if err := checkManifest(t, Default(), alice, bare); err != nil {
		t.Fatalf("the control: %v", err)
	}
	for name, p := range map[string]*Policy{"nil": nil, "zero": {}} {
		for _, s := range []Subject{rootUser, alice} {
			if checkManifest(t, p, s, bare) == nil {
				t.Errorf("%s: uid %d may launch", name, s.UID)
			}
			if own, total := p.Bottles(s); own != 0 || total != 0 {
				t.Errorf("%s: %d bottles of %d", name, own, total)
			}
			if _, ok := p.Preapproved(s, pattern(t, "a.example.com"), []string{"GET"}); ok {
				t.Errorf("%s: a route is preapproved", name)
			}
			if got, _, err := p.Token(t.Context(), s, "credential:gh", 0); err == nil || !got.IsZero() {
				t.Errorf("%s: a token", name)
			}
		}
	}
	if Default().Check(alice, nil, nil) == nil {
		t.Error("no manifest passes")
	}
}

func pattern(t *testing.T, s string) routes.Pattern {
	t.Helper()
	p, err := routes.ParsePattern(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPreapproved(t *testing.T) {
	p := parse(t, `approve:
  - {hosts: ["*.example.com", docs.example.org], groups: [2000]}
  - {hosts: [upload.example.net], methods: [PUT], users: [1000]}
`)
	for _, c := range []struct {
		host, methods string
		s             Subject
		want          string
	}{
		{"a.example.com", "GET", alice, "policy.yaml:3: approve[0]"},
		{"a.example.com", "GET HEAD", alice, "policy.yaml:3: approve[0]"},
		{"*.example.com", "GET", alice, "policy.yaml:3: approve[0]"},
		{"*.a.example.com", "GET", alice, "policy.yaml:3: approve[0]"},
		{"docs.example.org", "HEAD", alice, "policy.yaml:3: approve[0]"},
		{"upload.example.net", "PUT", alice, "policy.yaml:4: approve[1]"},
		{"upload.example.net", "GET", alice, ""},
		{"a.example.com", "GET POST", alice, ""},
		{"a.example.com", "", alice, ""}, // every usual method
		{"example.com", "GET", alice, ""},
		{"evilexample.com", "GET", alice, ""},
		{"*.example.org", "GET", alice, ""},
		{"*.docs.example.org", "GET", alice, ""},
		{"192.0.2.1", "GET", alice, ""},
		{"a.example.com", "GET", mallory, ""},
		{"a.example.com", "GET", rootUser, ""},
	} {
		rule, ok := p.Preapproved(c.s, pattern(t, c.host), strings.Fields(c.methods))
		if rule != c.want || ok != (c.want != "") {
			t.Errorf("uid %d, %s %s: %q, %v; want %q", c.s.UID, c.methods, c.host, rule, ok, c.want)
		}
	}
}

package routes

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const fullManifest = `
version: 1
egress:
  allowlist: [docs.example.com, CLAUDE.ai, cdn.example.com, docs.example.com, sub.wild.example.com]
egress_proxy:
  routes:
    - host: API.github.com.
      path_allowlist: ["/repos/acme/", "/user"]
      auth: {scheme: Bearer, token_ref: GH_PAT}
      role: [github]
    - host: api.anthropic.com
      auth: {header: x-api-key, token_ref: "credential:anthropic"}
      role: [claude_code_oauth]
    - {host: git.example.com, auth: {scheme: Basic, username: git, token_ref: GH_PAT}, dlp: {mode: warn, exempt: [github-pat, {rule: npm-access-token, fingerprint: 0123456789abcdef}], unreadable: warn}}
    - {host: maps.example.com, auth: {query: key, token_ref: "command:/usr/bin/mint maps"}, sealed: true}
    - {host: "*.wild.example.com", methods: [GET, HEAD], ports: [443, 8443], allow_private: [10.0.0.0/8, "fd00::/8"]}
    - {host: ssh.example.com, protocol: tcp, ports: [22]}
    - {host: pinned.example.com, protocol: tls-passthrough}
    - {host: closed.example.com, path_allowlist: []}
upstream_proxy: {url: "http://proxy.example.com:3128", ca: /etc/proxy.pem}
dlp: {mode: redact}
bottle:
  writable: [/srv/cache, ~/.cache/]
  hidden: [~/.aws]
  env: {GREETING: "hello"}
  user_namespaces: true
  limits: {memory: 2GiB, processes: 512, cpus: 1.5}
`

func effective(t testing.TB, manifest string) *Effective {
	t.Helper()
	m, err := ParseManifest("m.yaml", []byte(manifest))
	if err != nil {
		t.Fatal(err)
	}
	e, err := m.Effective()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestManifest(t *testing.T) {
	m, err := ParseManifest("m.yaml", []byte(fullManifest))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.UpstreamProxy.Scheme + " " + m.UpstreamProxy.Authority.String() + " " + m.UpstreamProxy.CA.Path; got != "http proxy.example.com:3128 /etc/proxy.pem" {
		t.Errorf("upstream_proxy: %s", got)
	}
	want := Settings{Writable: []string{"/srv/cache", "~/.cache"}, Hidden: []string{"~/.aws"}, Env: map[string]string{"GREETING": "hello"}, UserNamespaces: true, Limits: Limits{2 << 30, 512, 1500}}
	got := m.Bottle
	got.envLines = nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("bottle: %+v", got)
	}
	if m.DLP.Mode != DLPRedact || m.Routes[2].DLP.Mode != DLPWarn || m.Routes[1].Roles[0].Env[0] != "CLAUDE_CODE_OAUTH_TOKEN" || m.Routes[0].Line != 7 {
		t.Errorf("%+v", m)
	}
}

func TestWarnings(t *testing.T) {
	m, err := ParseManifest("m.yaml", []byte(fullManifest+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	m.Routes[0].Auth = nil
	var got []string
	for _, w := range m.Warnings() {
		got = append(got, w.String())
	}
	want := []string{
		"m.yaml:7: egress_proxy.routes[0]: role github makes its tool believe that it is signed in, and the route has no auth: add auth",
		"m.yaml:16: egress_proxy.routes[4]: *.wild.example.com lets the labels of a name carry data to whoever serves the zone: name the hosts if they are known",
		"m.yaml:19: egress_proxy.routes[7]: path_allowlist is empty, so every request to closed.example.com is denied",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Endpoints that give tokens out are pointed at, unless they are sealed or get none.
func TestMintingWarning(t *testing.T) {
	for text, want := range map[string]int{
		`auth: {scheme: Bearer, token_ref: T}`:               1,
		`auth: {scheme: Bearer, token_ref: T}, sealed: true`: 0,
		`methods: [POST]`: 0,
	} {
		m, err := ParseManifest("m.yaml", []byte("version: 1\negress_proxy:\n  routes:\n    - {host: a.example.com, path_allowlist: [/app/installations/*/access_tokens], "+text+"}\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Warnings(); len(got) != want || want == 1 && !strings.Contains(got[0].String(), "sealed: true") {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// A manifest in JSON is the same manifest.
func TestManifestInJSON(t *testing.T) {
	y := effective(t, "version: 1\negress_proxy:\n  routes:\n    - host: a.example.com\n      path_allowlist: ['/x']\n      auth: {scheme: Bearer, token_ref: T}\n")
	j := effective(t, `{"version": 1, "egress_proxy": {"routes": [{"host": "a.example.com", "path_allowlist": ["\/x"], "auth": {"scheme": "Bearer", "token_ref": "T"}}]}}`)
	if !reflect.DeepEqual(y, j) {
		t.Errorf("YAML %+v, JSON %+v", y, j)
	}
}

func TestEffective(t *testing.T) {
	e := effective(t, fullManifest)
	var hosts []string
	for _, r := range e.Routes {
		hosts = append(hosts, r.Host.String())
	}
	want := strings.Fields(`api.github.com api.anthropic.com git.example.com maps.example.com *.wild.example.com ssh.example.com pinned.example.com closed.example.com
		statsig.anthropic.com sentry.io claude.ai platform.claude.com downloads.claude.ai raw.githubusercontent.com
		docs.example.com cdn.example.com`)
	if diff := cmp.Diff(want, hosts); diff != "" {
		t.Errorf("routes (-want +got):\n%s", diff)
	}
	if len(e.Own) != 8 {
		t.Errorf("own routes: %d", len(e.Own))
	}
	slots := []Slot{
		{"EGRESS_PROXY_TOKEN_0", TokenRef{TokenEnv, "GH_PAT"}},
		{"EGRESS_PROXY_TOKEN_1", TokenRef{TokenCredential, "anthropic"}},
		{"EGRESS_PROXY_TOKEN_2", TokenRef{TokenCommand, "/usr/bin/mint maps"}},
	}
	if !reflect.DeepEqual(e.Slots, slots) {
		t.Errorf("slots: %+v", e.Slots)
	}
	if e.Own[2].Auth.Slot != "EGRESS_PROXY_TOKEN_0" {
		t.Errorf("routes with one token_ref do not share the slot: %+v", e.Own[2].Auth)
	}
	if got := effective(t, "version: 1\ndefaults: false\n"); len(got.Routes) != 0 {
		t.Errorf("defaults: false leaves %d routes", len(got.Routes))
	}
}

func TestCheckSlots(t *testing.T) {
	a, b := TokenRef{TokenEnv, "A"}, TokenRef{TokenEnv, "B"}
	for name, tt := range map[string]struct {
		slots []Slot
		ok    bool
	}{
		"two slots, two tokens": {[]Slot{{slotName(0), a}, {slotName(1), b}}, true},
		"the same twice":        {[]Slot{{slotName(0), a}, {slotName(0), a}}, true},
		"one slot, two tokens":  {[]Slot{{slotName(0), a}, {slotName(0), b}}, false},
		"no token":              {[]Slot{{slotName(0), TokenRef{}}}, false},
		"a variable":            {[]Slot{{"GH_PAT", a}}, false},
		"leading zero":          {[]Slot{{"EGRESS_PROXY_TOKEN_00", a}}, false},
	} {
		if err := CheckSlots(tt.slots); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAuthValue(t *testing.T) {
	e := effective(t, fullManifest)
	for i, want := range map[int]string{0: "Authorization: Bearer tok", 1: "X-Api-Key: tok", 2: "Authorization: Basic Z2l0OnRvaw==", 3: ": tok"} {
		a := e.Own[i].Auth
		if got := a.Field() + ": " + a.Value("tok"); got != want {
			t.Errorf("route %d: %q, want %q", i, got, want)
		}
	}
}

func TestRender(t *testing.T) {
	e := effective(t, fullManifest)
	got, err := Render(e.Own)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"routes": [
  {"host":"api.github.com","path_allowlist":["/repos/acme/","/user"],"auth_scheme":"Bearer","token_env":"EGRESS_PROXY_TOKEN_0"},
  {"host":"api.anthropic.com","auth_scheme":"raw","token_env":"EGRESS_PROXY_TOKEN_1","auth_header":"X-Api-Key"},
  {"host":"git.example.com","auth_scheme":"Basic","token_env":"EGRESS_PROXY_TOKEN_0","auth_username":"git","dlp":{"mode":"warn","exempt":["github-pat",{"rule":"npm-access-token","fingerprint":"0123456789abcdef"}],"unreadable":"warn"}},
  {"host":"maps.example.com","auth_scheme":"raw","token_env":"EGRESS_PROXY_TOKEN_2","auth_query":"key","sealed":true},
  {"host":"*.wild.example.com","methods":["GET","HEAD"],"ports":[443,8443],"allow_private":["10.0.0.0/8","fd00::/8"]},
  {"host":"ssh.example.com","ports":[22],"protocol":"tcp"},
  {"host":"pinned.example.com","protocol":"tls-passthrough"},
  {"host":"closed.example.com","path_allowlist":[]}
]}
`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	tab, err := Parse(got, 3)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(tab.Routes(), e.Own) {
		t.Error("parsing what was rendered gives other routes")
	}
	for _, name := range []string{"GH_PAT", "anthropic\"", "mint"} {
		if bytes.Contains(got, []byte(name)) {
			t.Errorf("the routes file holds %q", name)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"empty":                "",
		"null":                 "null",
		"a list":               "[]",
		"no routes":            "{}",
		"null routes":          `{"routes": null}`,
		"unknown key":          `{"routes": [], "extra": 1}`,
		"key in capitals":      `{"ROUTES": []}`,
		"host in capitals":     `{"routes": [{"Host": "a.example.com"}]}`,
		"folded duplicate":     `{"routes": [{"host": "a.example.com", "HOST": "evil.example.com"}]}`,
		"duplicate":            `{"routes": [{"host": "a.example.com", "host": "evil.example.com"}]}`,
		"escaped duplicate":    `{"routes": [{"host": "a.example.com", "\u0068ost": "evil.example.com"}]}`,
		"trailing data":        `{"routes": []} {}`,
		"trailing brace":       `{"routes": []}}`,
		"not UTF-8":            "{\"routes\": [{\"host\": \"a\xff.example.com\"}]}",
		"comment":              `{"routes": [] /* none */}`,
		"trailing comma":       `{"routes": [{"host": "a.example.com"},]}`,
		"YAML":                 "routes: []",
		"truncated":            `{"routes": [{"host": "a.example.com"}`,
		"scheme alone":         `{"routes": [{"host": "a.example.com", "auth_scheme": "Bearer"}]}`,
		"slot alone":           `{"routes": [{"host": "a.example.com", "token_env": "EGRESS_PROXY_TOKEN_0"}]}`,
		"variable of the host": `{"routes": [{"host": "a.example.com", "auth_scheme": "Bearer", "token_env": "GH_PAT"}]}`,
		"header alone":         `{"routes": [{"host": "a.example.com", "auth_header": "X-Api-Key"}]}`,
		"null path list":       `{"routes": [{"host": "a.example.com", "path_allowlist": null}]}`,
		"empty path":           `{"routes": [{"host": "a.example.com", "path_allowlist": [""]}]}`,
		"port as a string":     `{"routes": [{"host": "a.example.com", "ports": ["443"]}]}`,
		"port as a float":      `{"routes": [{"host": "a.example.com", "ports": [4.43e2]}]}`,
		"port over":            `{"routes": [{"host": "a.example.com", "ports": [65979]}]}`,
		"magic host":           `{"routes": [{"host": "_egress-proxy.local"}]}`,
		"auth on a wildcard":   `{"routes": [{"host": "*.example.com", "auth_scheme": "Bearer", "token_env": "EGRESS_PROXY_TOKEN_0"}]}`,
		"deep":                 `{"routes": ` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + "}",
		"same route twice":     `{"routes": [{"host": "a.example.com"}, {"host": "A.example.com"}]}`,
	} {
		if tab, err := Parse([]byte(in), 1); err == nil || tab != nil {
			t.Errorf("%s: taken: %s", name, in)
		}
	}
	tab, err := Parse([]byte(`{"routes": []}`), 1)
	if err != nil || tab.Decide(query(t, "GET", "https://a.example.com/")).Allowed() {
		t.Errorf("control: an empty table: %v", err)
	}
}

func TestAllowlistJSON(t *testing.T) {
	tab, err := effective(t, fullManifest).Table(1)
	if err != nil {
		t.Fatal(err)
	}
	got := tab.AllowlistJSON()
	var v struct {
		Routes []map[string]any `json:"routes"`
	}
	if err := json.Unmarshal(got, &v); err != nil || len(v.Routes) != len(tab.Routes()) {
		t.Fatalf("%v in %s", err, got)
	}
	known := map[string]bool{"host": true, "path_allowlist": true, "auth_scheme": true, "token_env": true, "methods": true, "ports": true, "protocol": true, "sealed": true}
	for _, r := range v.Routes {
		for key := range r {
			if !known[key] {
				t.Errorf("/allowlist shows %q", key)
			}
		}
	}
	if s := string((*Table)(nil).AllowlistJSON()); !json.Valid([]byte(s)) || strings.Contains(s, "host") {
		t.Errorf("nil table: %s", s)
	}
}

func TestExplain(t *testing.T) {
	tab, err := effective(t, fullManifest).Table(1)
	if err != nil {
		t.Fatal(err)
	}
	got := Explain(tab, query(t, "POST", "https://api.github.com/users")) + Explain(tab, query(t, "GET", "https://git.example.com/a"))
	want := `request   POST https://api.github.com:443/users
host      api.github.com, ports 443
route     http api.github.com /repos/acme/ /user
token     EGRESS_PROXY_TOKEN_0 as Bearer in Authorization
verdict   deny: path-not-allowed
          The path "/users" of api.github.com is not in its path list. The tool list-egress-proxy-routes shows what is allowed; the tool egress-proxy-block proposes a change to the operator.
request   GET https://git.example.com:443/a
host      git.example.com, ports 443
route     http git.example.com any path
token     EGRESS_PROXY_TOKEN_0 as Basic in Authorization
verdict   allow: allowed
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// FuzzParseRoutes holds that parse∘render is the identity, on routes and on bytes.
func FuzzParseRoutes(f *testing.F) {
	full, err := Render(effective(f, fullManifest).Routes)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(full)
	f.Add([]byte(`{"routes": []}`))
	f.Add([]byte(`{"routes": [{"host": "[fd00::1]", "ports": [1], "path_allowlist": []}]}`))
	f.Add([]byte(`{"routes": [{"host": "\uff41.example.com", "dlp": {}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		tab, err := Parse(data, 1)
		if err != nil {
			if tab != nil {
				t.Fatal("an error and a table")
			}
			return
		}
		first, err := Render(tab.Routes())
		if err != nil {
			t.Fatalf("parsed, and can not be rendered: %v", err)
		}
		again, err := Parse(first, 1)
		if err != nil {
			t.Fatalf("%v\n%s", err, first)
		}
		if diff := cmp.Diff(dump(tab.Routes()), dump(again.Routes())); diff != "" {
			t.Fatalf("other routes:\n%s", diff)
		}
		if second, err := Render(again.Routes()); err != nil || !bytes.Equal(first, second) {
			t.Fatalf("%v\n%s%s", err, first, second)
		}
	})
}

// dump makes every field of the routes comparable, nil and empty apart.
func dump(list []*Route) []string {
	var out []string
	for _, r := range list {
		line, _ := json.Marshal(renderRoute(r))
		out = append(out, string(line), r.Host.String(), strings.Join(r.Methods, " "))
	}
	return out
}

// FuzzParseManifest holds that what is taken can be enforced: it folds, renders
// and loads.
func FuzzParseManifest(f *testing.F) {
	f.Add([]byte(fullManifest))
	f.Add([]byte(`{"version": 1, "egress": {"allowlist": ["a.example.com"]}}`))
	f.Add([]byte("version: 1\nupstream_ca: |\n  -----BEGIN CERTIFICATE-----\n"))
	f.Add([]byte("version: 1\nbottle: {env: {A: &x b, C: *x}}\n"))
	f.Add([]byte("version: 1\nbottle: {env: {A: null}}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseManifest("m", data)
		if err != nil {
			if _, ok := err.(Problems); !ok || m != nil {
				t.Fatalf("%T %v, %v", err, err, m)
			}
			return
		}
		e, err := m.Effective()
		if err != nil {
			t.Fatal(err)
		}
		file, err := Render(e.Routes)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(file, 1); err != nil {
			t.Fatalf("%v\n%s", err, file)
		}
	})
}

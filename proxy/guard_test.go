package proxy

import (
	"fmt"
	"testing"

	"bottled/routes"
	"bottled/secret"
)

// The tokens of the table are known before any is injected, former ones for a while, and
// a host that was given one is searched after its route is gone.
func TestGuard(t *testing.T) {
	value := func(slot string, n int) string { return fmt.Sprintf("%s-value-%04d", slot, n) }
	token := func(v string) secret.Token {
		tok, err := secret.New([]byte(v))
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	table := func(text string, generation uint64) *routes.Table {
		made, err := routes.Parse([]byte(text), generation)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	host := func(name string) routes.Host {
		a, err := routes.ParseAuthority(name, 443)
		if err != nil {
			t.Fatal(err)
		}
		return a.Host
	}
	g := newGuard()
	if g.covers(host("a.example.com")) || g.Load().Bytes([]byte(value("A", 0))) != 0 {
		t.Error("an empty one knows something")
	}
	credential := func(_ uint64, slot string) (secret.Token, bool) { return token(value(slot[len(slot)-1:], 0)), true }
	const a, b = "EGRESS_PROXY_TOKEN_0", "EGRESS_PROXY_TOKEN_1"
	g.learn(table(`{"routes": [{"host": "a.example.com", "auth_scheme": "Bearer", "token_env": "`+a+`"},
		{"host": "b.example.com", "auth_scheme": "Bearer", "token_env": "`+b+`"}, {"host": "c.example.com"}]}`, 1), credential)
	for n := range 40 {
		g.meet(b, token(value("1", n)))
	}
	known := func(v string) bool { return g.Load().Bytes([]byte("x "+v+" x")) == 1 }
	for v, want := range map[string]bool{
		value("0", 0): true, value("1", 39): true, value("1", 39-maxFormer): true, value("1", 38-maxFormer): false, value("0", 1): false,
	} {
		if known(v) != want {
			t.Errorf("%q is known: %v", v, !want)
		}
	}
	g.learn(table(`{"routes": [{"host": "a.example.com"}, {"host": "c.example.com"}]}`, 2), credential)
	g.learn(nil, credential)
	if !known(value("0", 0)) || !known(value("1", 39)) {
		t.Error("forgotten with the table")
	}
	for name, want := range map[string]bool{"a.example.com": true, "b.example.com": true, "c.example.com": false} {
		if g.covers(host(name)) != want {
			t.Errorf("%s is covered: %v", name, !want)
		}
	}
}

package screen

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"bottled/dlp"
	"bottled/proxy"
	"bottled/routes"
	"bottled/secret"
)

const canary = "Zk4mQ9xW2vT7bN5cR8yL1pJ6"

func table(t *testing.T, text string) *routes.Table {
	t.Helper()
	parsed, err := routes.Parse([]byte(text), 1)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func token(t *testing.T, value string) secret.Token {
	t.Helper()
	made, err := secret.New([]byte(value))
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func post(t *testing.T) routes.Query {
	t.Helper()
	a, err := routes.ParseAuthority("api.example.com", 443)
	if err != nil {
		t.Fatal(err)
	}
	return routes.Query{Scheme: "https", Authority: a, Method: "POST", Target: "/v1?a=b"}
}

// judge returns the rule that refuses a header, or "".
func judge(t *testing.T, s *Screen, value string) string {
	t.Helper()
	c, blocked := s.Scan(post(t), nil, http.Header{"X-Note": {value}})
	if blocked != nil {
		return blocked.Rule
	}
	c.Close()
	return ""
}

func TestTokensFollowTheTable(t *testing.T) {
	s := New(routes.DLP{}, dlp.Limits{}, nil)
	if got := judge(t, s, canary); got != "" {
		t.Errorf("a value that is nobody's: %q", got)
	}
	s.Use(nil, map[string]secret.Token{"EGRESS_PROXY_TOKEN_0": token(t, canary), "EGRESS_PROXY_TOKEN_1": token(t, "abc")})
	if got := judge(t, s, canary); got != "secret:EGRESS_PROXY_TOKEN_0" {
		t.Errorf("a token: %q", got)
	}
	if got := judge(t, s, "abc and more"); got != "" {
		t.Errorf("a token too short to be looked for: %q", got)
	}
	s.Use(nil, map[string]secret.Token{"EGRESS_PROXY_TOKEN_0": token(t, "another-"+canary[:9])})
	if got := judge(t, s, canary); got != "" {
		t.Errorf("a token that was replaced: %q", got)
	}
}

// An update that changes nothing for the scanner compiles nothing.
func TestEnginesAreKept(t *testing.T) {
	s := New(routes.DLP{}, dlp.Limits{}, nil)
	tokens := func() map[string]secret.Token { return map[string]secret.Token{"A": token(t, canary)} }
	first := table(t, `{"routes": [{"host": "a.example.com", "dlp": {"exempt": ["github-pat"]}}]}`)
	s.Use(first, tokens())
	before := s.now.Load()
	s.Use(table(t, `{"routes": [{"host": "b.example.com"}, {"host": "c.example.com", "dlp": {"exempt": ["github-pat"]}}]}`), tokens())
	if s.now.Load() != before {
		t.Error("compiled again")
	}
	s.Use(nil, tokens())
	if s.now.Load() == before {
		t.Error("an exemption outlives its route")
	}
}

// What cannot be compiled, or asks for a mode that is none, refuses.
func TestFailsClosed(t *testing.T) {
	for name, s := range map[string]*Screen{
		"limits": New(routes.DLP{}, dlp.Limits{Hold: -1}, nil),
		"mode":   New(routes.DLP{Mode: "open"}, dlp.Limits{}, nil),
	} {
		if got := judge(t, s, "x"); got != "scanner-unavailable" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// stuck is a body whose client sends nothing.
type stuck struct{ reading, release chan struct{} }

func (s stuck) Read([]byte) (int, error) {
	close(s.reading)
	<-s.release
	return 0, io.EOF
}

// Close does not wait for a client, and what comes after it does not leave.
func TestCloseDuringARead(t *testing.T) {
	s := New(routes.DLP{}, dlp.Limits{}, nil)
	c, blocked := s.Scan(post(t), nil, http.Header{})
	if blocked != nil {
		t.Fatal(blocked)
	}
	in := stuck{make(chan struct{}), make(chan struct{})}
	body := c.Body(io.MultiReader(strings.NewReader("held back"), in), -1, nil)
	got := make(chan string)
	go func() {
		text, err := io.ReadAll(body)
		if err == nil {
			t.Error("the end of the body is no error")
		}
		got <- string(text)
	}()
	<-in.reading
	if found := c.Close(); len(found) != 0 {
		t.Errorf("found %+v", found)
	}
	close(in.release)
	if text := <-got; !strings.HasPrefix("held back", text) {
		t.Errorf("%q left", text)
	}
	c.Close()
}

// The name of a field is not shown where it may be a match itself.
func TestShownNames(t *testing.T) {
	s := New(routes.DLP{Mode: routes.DLPWarn}, dlp.Limits{}, nil)
	s.Use(nil, map[string]secret.Token{"A": token(t, canary)})
	const pat = "ghp_x7Kp2mQ9vR4tY8wZ1nB6cD3fG5hJ0L4MNObN"
	_, blocked := s.Scan(post(t), nil, http.Header{"X-" + pat: {canary}})
	if blocked == nil || strings.Contains(blocked.Where+blocked.Detail, pat) || blocked.Rule != "secret:A" {
		t.Errorf("%+v", blocked)
	}
	_, blocked = s.Scan(post(t), nil, http.Header{"X-Note": {canary}})
	if blocked == nil || blocked.Where != "header X-Note" || blocked.Part != proxy.PartOther {
		t.Errorf("%+v", blocked)
	}
}

package dlp

import (
	"errors"
	"io"
	"strings"
	"testing"

	"bottled/dlp/rules"
)

func TestNewRefuses(t *testing.T) {
	for name, o := range map[string]Options{
		"short secret":         {Secrets: []Secret{{"a", "abc"}}},
		"secret without name":  {Secrets: []Secret{{"", ownCanary}}},
		"secret twice":         {Secrets: []Secret{{"a", ownCanary}, {"a", ownCanary}}},
		"secret off":           {Secrets: []Secret{{"a", ownCanary}}, Modes: map[string]Mode{"secret:a": Off}},
		"unknown rule":         {Modes: map[string]Mode{"gihtub-pat": Block}},
		"unknown mode":         {Modes: map[string]Mode{"github-pat": 99}},
		"unknown generic mode": {Generic: 99},
		"exempt everything":    {Exempt: []Exemption{{Route: "r"}}},
		"exempt unknown rule":  {Exempt: []Exemption{{Rule: "gihtub-pat"}}},
		"exempt a secret":      {Secrets: []Secret{{"a", ownCanary}}, Exempt: []Exemption{{Rule: "secret:a"}}},
		"bad pattern":          {Patterns: []Pattern{{ID: "p", Regexp: "("}}},
		"pattern of nothing":   {Patterns: []Pattern{{ID: "p", Regexp: "a*"}}},
		"pattern, no keyword":  {Patterns: []Pattern{{ID: "p", Regexp: "[a-z]{20}"}}},
		"pattern, no id":       {Patterns: []Pattern{{Regexp: "abcdef"}}},
		"pattern of a rule":    {Patterns: []Pattern{{ID: "github-pat", Regexp: "abcdef"}}},
		"negative limit":       {Limits: Limits{Depth: -1}},
		"held below hold":      {Limits: Limits{Hold: 100, Held: 10}},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: compiled", name)
		} else if strings.Contains(err.Error(), ownCanary) {
			t.Errorf("%s: the error holds the secret: %v", name, err)
		}
	}
}

func TestZeroVerdictRefuses(t *testing.T) {
	if (Verdict{}).Allowed() {
		t.Error("the zero verdict lets a request through")
	}
}

func TestModes(t *testing.T) {
	for mode, want := range map[Mode]Action{Off: Pass, Warn: Pass, Redact: Redacted, Block: Blocked, Default: Blocked} {
		e := mustEngine(t, Options{Modes: map[string]Mode{"github-pat": mode}})
		v := scanBody(e, "x "+ruleCanary, 0, BodyOptions{})
		if v.Action != want || (mode == Warn) != (len(v.Findings) == 1 && v.Findings[0].Mode == Warn) {
			t.Errorf("mode %d: %v", mode, v)
		}
	}
	const generic = `api_key = "zQ83hf02LmX7kpW19vTb"`
	if v := scanBody(mustEngine(t, Options{}), generic, 0, BodyOptions{}); v.Action != Pass || len(v.Findings) != 1 || v.Findings[0].Class != rules.Generic {
		t.Errorf("a generic rule by default: %v", v)
	}
	if v := scanBody(mustEngine(t, Options{Generic: Block}), generic, 0, BodyOptions{}); v.Action != Blocked {
		t.Errorf("a generic rule in mode block: %v", v)
	}
}

func TestRedact(t *testing.T) {
	e := mustEngine(t, Options{Modes: map[string]Mode{"github-pat": Redact}})
	stars := strings.Repeat("*", len(ruleCanary))
	s := e.Scan("")
	if got := s.Field(Header, "x-note", "see "+ruleCanary+" there"); got != "see "+stars+" there" {
		t.Errorf("header: %q", got)
	}
	if got := s.Field(Header, "x-alone", ruleCanary); got != stars || s.Err() != nil {
		t.Errorf("alone in a header: %q, %v", got, s.Err())
	}
	pad := strings.Repeat("padding ", 20_000)
	for _, where := range []string{"", pad} {
		g := NewGate(s, strings.NewReader(where+ruleCanary+pad), BodyOptions{})
		got, err := io.ReadAll(g)
		g.Close()
		if err != nil || string(got) != where+stars+pad {
			t.Errorf("body: %d bytes, %v", len(got), err)
		}
	}
	if v := s.Close(); v.Action != Redacted || !v.Allowed() || strings.Contains(s.findings[0].String(), ruleCanary) {
		t.Errorf("verdict: %v", v)
	}
	for name, body := range map[string]string{"encoded": encoders[1].encode(ruleCanary), "joined": `["` + ruleCanary[:9] + `","` + ruleCanary[9:] + `"]`} {
		if v := scanBody(e, body, 0, BodyOptions{}); v.Action != Blocked {
			t.Errorf("%s, which cannot be overwritten: %v", name, v)
		}
	}
	s = e.Scan("")
	if s.Field(Header, ruleCanary, "1"); s.Close().Allowed() {
		t.Error("a header name cannot be overwritten, and passes")
	}
	s = e.Scan("")
	if s.Messages(Message, []byte(ruleCanary)) == nil {
		t.Error("a message cannot be overwritten, and passes")
	}
	s.Close()
}

func TestExemptions(t *testing.T) {
	key := []byte("a key that stays")
	v := scanBody(mustEngine(t, Options{Key: key}), ruleCanary, 0, BodyOptions{})
	print := v.Findings[0].Fingerprint
	other := "ghp_" + strings.ToUpper(ruleCanary[4:])
	for name, tc := range map[string]struct {
		x     Exemption
		route string
		body  string
		want  Action
	}{
		"rule":                     {Exemption{Rule: "github-pat"}, "a", ruleCanary, Pass},
		"rule on the route":        {Exemption{Rule: "github-pat", Route: "a"}, "a", ruleCanary, Pass},
		"rule on another route":    {Exemption{Rule: "github-pat", Route: "b"}, "a", ruleCanary, Blocked},
		"another rule":             {Exemption{Rule: "npm-access-token"}, "a", ruleCanary, Blocked},
		"fingerprint":              {Exemption{Fingerprint: print}, "a", ruleCanary, Pass},
		"fingerprint, encoded":     {Exemption{Fingerprint: print}, "a", encoders[1].encode(ruleCanary), Pass},
		"fingerprint of the other": {Exemption{Fingerprint: print}, "a", other, Blocked},
		"one of two":               {Exemption{Fingerprint: print}, "a", ruleCanary + " " + other, Blocked},
	} {
		e := mustEngine(t, Options{Key: key, Exempt: []Exemption{tc.x}})
		s := e.Scan(tc.route)
		s.Field(Header, "x", tc.body)
		if v := s.Close(); v.Action != tc.want {
			t.Errorf("%s: %v", name, v)
		}
	}
	if again := scanBody(mustEngine(t, Options{}), ruleCanary, 0, BodyOptions{}); again.Findings[0].Fingerprint == print {
		t.Error("the fingerprint does not depend on the key")
	}
}

// A token of no fixed length runs into the next value where values are joined. The
// one that is exempt passes there too, and hides no other.
func TestExemptMatchInJoinedValues(t *testing.T) {
	o := Options{Key: []byte("a key that stays"), Patterns: []Pattern{{ID: "long", Regexp: `long_[a-z0-9]{12,40}`}}}
	const one, other = "long_k3v8w2m5x9q1", "long_z7c4b6n0p8d2"
	v := scanBody(mustEngine(t, o), one, 0, BodyOptions{})
	o.Exempt = []Exemption{{Rule: "long", Fingerprint: v.Findings[0].Fingerprint}}
	e := mustEngine(t, o)
	for body, want := range map[string]Action{
		`["` + one + `"]`:           Pass,
		`["` + one + `","next1"]`:   Pass,
		`["x9","` + one + `","y8"]`: Pass,
		`["` + one + `","` + other[:9] + `","` + other[9:] + `"]`:        Blocked,
		`["` + one + `","n","` + other[:9] + `","` + other[9:] + `"]`:    Blocked,
		`["` + one + `","` + other + `"]`:                                Blocked,
		`["` + one[:9] + `","` + one[9:] + `"]`:                          Pass, // it is that very match
		`["` + one[:9] + `","` + other[9:] + `"]`:                        Blocked,
		`{"a":"` + one + `","b":"` + encoders[1].encode(other) + `"}`:    Blocked,
		`{"a":"` + encoders[1].encode("x "+one+" y") + `","b":"next01"}`: Pass,
	} {
		if v := scanBody(e, body, 0, BodyOptions{Type: "application/json"}); v.Action != want {
			t.Errorf("%s: %v", body, v)
		}
	}
}

// Keys of OpenSSH begin alike: exempting one would exempt them all.
func TestKeysAreNotExemptOneByOne(t *testing.T) {
	key := []byte("a key that stays")
	begin := "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n"
	print := scanBody(mustEngine(t, Options{Key: key}), begin+"QyNTUxOQAAACBone", 0, BodyOptions{}).Findings[0].Fingerprint
	e := mustEngine(t, Options{Key: key, Exempt: []Exemption{{Fingerprint: print}}})
	if v := scanBody(e, begin+"QyNTUxOQAAACBanother", 0, BodyOptions{}); v.Action != Blocked {
		t.Errorf("%v", v)
	}
	if _, err := New(Options{Exempt: []Exemption{{Rule: "private-key", Fingerprint: print}}}); err == nil {
		t.Error("an exemption that exempts more than it says is taken")
	}
}

// A secret of the bottle has one fingerprint, whatever of it was found, and no
// exemption.
func TestSecretsAreNotExempt(t *testing.T) {
	key := []byte("a key that stays")
	secrets := []Secret{{"s", ownCanary}}
	print := scanBody(mustEngine(t, Options{Key: key, Secrets: secrets}), ownCanary, 0, BodyOptions{}).Findings[0].Fingerprint
	e := mustEngine(t, Options{Key: key, Secrets: secrets, Exempt: []Exemption{{Fingerprint: print}}})
	for _, enc := range encoders {
		v := scanBody(e, "x "+enc.encode(ownCanary), 0, BodyOptions{})
		if v.Action != Blocked || v.Findings[len(v.Findings)-1].Fingerprint != print {
			t.Errorf("%s: %v", enc.name, v)
		}
	}
}

func TestPatterns(t *testing.T) {
	e := mustEngine(t, Options{Patterns: []Pattern{
		{ID: "ticket", Regexp: `ACME-[0-9]{6}`}, {ID: "codename", Regexp: `(?i)\bblue\s?heron\b`, Keywords: []string{"heron"}, Class: rules.Generic},
	}})
	for body, want := range map[string]int{"see ACME-123456 for it": 1, "see ACME-12 for it": 0, "the Blue Heron plan": 1, encoders[9].encode("the ticket is ACME-123456"): 1} {
		if v := scanBody(e, body, 0, BodyOptions{}); len(v.Findings) != want {
			t.Errorf("%q: %v", body, v)
		}
	}
}

func TestSecretForms(t *testing.T) {
	for _, secret := range []string{ownCanary, "s3cr-t!", "p@ss/w0rd+more", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"} {
		e := mustEngine(t, Options{Secrets: []Secret{{"s", secret}}})
		for _, enc := range encoders {
			if v := scanBody(e, `{"a":"`+enc.encode(secret)+`"}`, 0, BodyOptions{}); v.Action != Blocked && len(secret) > 20 {
				t.Errorf("%.5s… as %s: %v", secret, enc.name, v)
			}
		}
		for name, text := range map[string]string{
			"plain": secret, "reversed": reversed(secret), "rot13": rot13(secret), "decimal": spell(secret, "%d, "), "0x": spell(secret, "0x%02x,"),
			"in pieces": strings.Join(strings.Split(secret, ""), `","`), "tail": secret[len(secret)/3:], "UTF-16 in base64": encoders[1].encode(utf16le(secret)),
			"capitals": strings.ToUpper(secret),
		} {
			if len(secret) < 20 && name != "plain" {
				continue
			}
			if v := scanBody(e, "x "+text+" y", 0, BodyOptions{}); v.Action != Blocked {
				t.Errorf("%.5s… %s: %v", secret, name, v)
			}
		}
		if v := scanBody(e, "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkxIn0.x", 0, BodyOptions{}); v.Action != Pass {
			t.Errorf("%.5s…: another token is taken for it: %v", secret, v)
		}
	}
}

func TestLimits(t *testing.T) {
	for name, tc := range map[string]struct {
		limits Limits
		body   string
		want   Reason
	}{
		"body":    {Limits{Body: 100}, strings.Repeat("x", 101), TooLarge},
		"ratio":   {Limits{Ratio: 2}, string(gz(make([]byte, 20<<20))), DecodedTooMuch},
		"streams": {Limits{Streams: 1}, "\x78\x01\x00\xff\x00\x00\xff" + string(gz([]byte(document))[:60]), TooManyStreams},
	} {
		v := scanBody(mustEngine(t, Options{Limits: tc.limits}), tc.body, 0, BodyOptions{})
		if v.Action != Refuse || v.Refusal.Reason != tc.want {
			t.Errorf("%s: %v", name, v)
		}
	}
	s := mustEngine(t, Options{}).Scan("")
	s.Close()
	s.Field(Path, "", "/")
	var refusal *Refusal
	if err := s.Err(); !errors.As(err, &refusal) || refusal.Reason != Ended || s.Close().Allowed() {
		t.Errorf("fed after its end: %v", err)
	}
}

func TestGateReadError(t *testing.T) {
	e := canaryEngine(t)
	s := e.Scan("")
	defer s.Close()
	broken := errors.New("broken")
	g := NewGate(s, io.MultiReader(strings.NewReader("first part"), readerFunc(func([]byte) (int, error) { return 0, broken })), BodyOptions{})
	if got, err := io.ReadAll(g); err != broken || len(got) > 0 {
		t.Errorf("%q, %v: a body that breaks off leaves nothing unjudged", got, err)
	}
}

package dlp

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"bottled/dlp/decode"
)

// oracle finds what an engine must find, by the shortest way there is: every expression
// over everything, everything decoded in every way from every place. It knows neither
// windows nor keywords, automata, pieces or bounds.
type oracle struct {
	rules []*rule
	bones []string
	found map[string]bool
}

// judged are the rules that it looks for.
var judged = []string{"github-pat", "aws-access-token", "npm-access-token", "slack-bot-token"}

func (o *oracle) look(text []byte, depth int) {
	for _, r := range o.rules {
		for _, at := range r.re.FindAllSubmatchIndex(text, -1) {
			from, to := r.secret(at)
			if ok, _ := r.real(text[from:to]); ok {
				o.found[r.id] = true
			}
		}
	}
	letters := strings.ToLower(skeleton(string(text)))
	for _, b := range o.bones {
		if strings.Contains(letters, b) {
			o.found["secret:canary"] = true
		}
	}
	if depth == 0 {
		return
	}
	for _, f := range finders {
		for i := 0; i < len(text); {
			n := i
			for n < len(text) && f.alphabet.Has(text[n]) {
				n++
			}
			if n-i >= f.least {
				for phase := range f.alphabet.Phases {
					r := decode.NewRadix(f.alphabet, phase)
					o.look(r.Append(nil, text[i:n]), depth-1)
				}
			}
			i = n + 1
		}
	}
	if plain, _ := decode.Fold(nil, text, true); !bytes.Equal(plain, text) {
		o.look(plain, depth-1)
	}
	for magic, format := range map[string]decode.Format{"\x1f\x8b\x08": decode.Gzip, "\x78\x9c": decode.Zlib, "\x28\xb5\x2f\xfd": decode.Zstd} {
		if i := bytes.Index(text, []byte(magic)); i >= 0 {
			var plain []byte
			in := decode.NewInflater(format, func(p []byte) error { plain = append(plain, p...); return nil })
			in.Write(text[i:])
			in.Close()
			o.look(plain, depth-1)
		}
	}
}

// findings returns the rules that e finds in body, which comes in pieces of the sizes
// that size returns.
func findings(t *testing.T, e *Engine, body []byte, size func() int) map[string]bool {
	t.Helper()
	s := e.Scan("")
	b := s.Body(BodyOptions{})
	for rest := body; len(rest) > 0; {
		n := min(size(), len(rest))
		b.Write(rest[:n])
		rest = rest[n:]
	}
	b.Close()
	v := s.Close()
	if v.Refusal != nil {
		t.Fatalf("%q: %v", body, v.Refusal)
	}
	found := map[string]bool{}
	for _, f := range v.Findings {
		if f.Rule == "secret:canary" || slices.Contains(judged, f.Rule) {
			found[f.Rule] = true
		}
	}
	return found
}

// TestAgainstOracle plants secrets, whole ones and damaged ones, in every encoding and
// at every alignment, in text, binary data and base64, and holds that the engine finds
// what the oracle finds, and every whole one, however the body is cut.
func TestAgainstOracle(t *testing.T) {
	warn := Options{Secrets: []Secret{{Name: "canary", Value: ownCanary}}, Modes: map[string]Mode{"secret:canary": Warn}, Limits: Limits{Findings: 1000}}
	for _, id := range mustEngine(t, Options{}).Rules() {
		warn.Modes[id] = Warn
	}
	e := mustEngine(t, warn)
	o := oracle{bones: skeletons(ownCanary)}
	for _, r := range e.rules {
		if slices.Contains(judged, r.id) {
			o.rules = append(o.rules, r)
		}
	}
	ofBytes := slices.DeleteFunc(slices.Clone(encoders), func(enc encoder) bool {
		return !slices.Contains([]string{"plain", "base64", "base64url raw", "base64 shifted 1", "base64 shifted 2", "base64 behind junk",
			"hex", "hex capitals", "base32", "base32 small", "percent", "gzip", "zlib", "zstd"}, enc.name)
	})
	r := rand.New(rand.NewPCG(11, 12))
	around := func(n int) string {
		b := make([]byte, n)
		letters := []string{"the quick brown fox, (jumps) over = \"it\";\n\t", base64Chars, "", "0123456789abcdef", "\x00\x01 ab\xc3\xa9%\\"}[r.IntN(5)]
		for i := range b {
			if b[i] = byte(r.Uint32()); letters != "" {
				b[i] = letters[r.IntN(len(letters))]
			}
		}
		return string(b)
	}
	rounds := 1000
	if raceEnabled {
		rounds = 60
	}
	agreed, damaged := 0, 0
	for range rounds {
		secret, want := ruleCanary, "github-pat"
		if r.IntN(2) == 0 {
			secret, want = ownCanary, "secret:canary"
		}
		first := encoders[r.IntN(len(encoders))]
		planted, name := first.encode(secret), first.name
		whole := r.IntN(2) == 0
		if !whole {
			damaged++
			if strings.HasPrefix(name, "base64 in ") { // the oracle sees but single lines of it
				planted, name = secret, "plain"
			}
			second := ofBytes[r.IntN(len(ofBytes))]
			planted, name = second.encode(planted), second.name+" of "+name
			hurt := []byte(planted)
			if r.IntN(2) == 0 {
				hurt[r.IntN(len(hurt))] ^= 1 << r.IntN(8)
			}
			planted = string(hurt)
		}
		// What stands directly beside it may run into it, as junk in front of base64 does.
		// It is told apart only from what it would become one token or one escape with.
		edge := []string{"\n", " ", `"`, "(", "\r\n"}[r.IntN(5)]
		body := []byte(around(r.IntN(1500)) + edge + planted + edge + around(r.IntN(1500)))

		o.found = map[string]bool{}
		o.look(body, 2)
		at := 1 + r.IntN(700)
		for how, size := range map[string]func() int{
			"at once": func() int { return len(body) }, "in pieces": func() int { return 1 + r.IntN(at) }, "by byte": func() int { return 1 },
		} {
			found := findings(t, e, body, size)
			for id := range o.found {
				if !found[id] {
					t.Errorf("%s, %s: %s is not found in %q", name, how, id, body)
				}
			}
			if whole && !found[want] {
				t.Errorf("%s, %s: %s is not found in %q", name, how, want, body)
			}
		}
		if len(o.found) > 0 {
			agreed++
		}
	}
	t.Logf("%d bodies, %d of them damaged; the oracle found something in %d", rounds, damaged, agreed)
	if agreed < rounds/4 {
		t.Error("too few for the comparison to mean anything")
	}
}

// TestJunkInFront moves an encoded secret through a long run of its own alphabet, where
// nothing tells the alignment.
func TestJunkInFront(t *testing.T) {
	e := canaryEngine(t)
	r := rand.New(rand.NewPCG(13, 14))
	for _, enc := range encoders {
		if !strings.HasPrefix(enc.name, "base64") && !strings.HasPrefix(enc.name, "hex") || strings.Contains(enc.name, " in ") {
			continue
		}
		letters := base64Chars
		if strings.HasPrefix(enc.name, "hex") {
			letters = "0123456789abcdef"
		}
		for before := range 40 {
			junk := make([]byte, 5000+before)
			for i := range junk {
				junk[i] = letters[r.IntN(len(letters))]
			}
			for _, canary := range []string{ruleCanary, ownCanary} {
				text := strings.TrimRight(enc.encode("\n"+canary+"\n"), "=")
				body := string(junk[:r.IntN(3000)+before]) + text + string(junk[:2000])
				for _, n := range []int{0, 1 + r.IntN(100)} {
					if v := scanBody(e, body, n, BodyOptions{}); v.Action != Blocked {
						t.Fatalf("%s of %.4s… in %d bytes, pieces of %d: %v", enc.name, canary, len(body), n, v)
					}
				}
			}
		}
	}
}

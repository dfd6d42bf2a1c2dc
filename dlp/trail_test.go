package dlp

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// ask is one request, sent after others.
type ask struct {
	fields [][3]string // kind, name, value
	kind   string
	body   string
}

func (a ask) send(e *Engine, t *Trail) Verdict {
	s := e.Scan("")
	if t != nil {
		s.After(t)
	}
	kinds := map[string]Kind{"method": Method, "authority": Authority, "path": Path, "query": Query, "header": Header}
	for _, f := range a.fields {
		s.Field(kinds[f[0]], f[1], f[2])
	}
	s.Err()
	b := s.Body(BodyOptions{Type: a.kind})
	b.Write([]byte(a.body))
	b.Close()
	return s.Close()
}

// carriers put a piece into the n-th request, among what such requests have.
var carriers = map[string]func(n int, piece string) ask{
	"path": func(n int, piece string) ask {
		return ask{fields: [][3]string{{"method", "", "GET"}, {"path", "", "/v1/" + piece + "/items"}, {"header", "user-agent", "client/1.2.3"}}}
	},
	"query": func(n int, piece string) ask {
		return ask{fields: [][3]string{{"path", "", "/v1"}, {"query", "", fmt.Sprintf("page=%d&q=%s&lang=en", n, piece)}}}
	},
	"label": func(n int, piece string) ask {
		return ask{fields: [][3]string{{"path", "", "/"}, {"authority", "", strings.ToLower(piece) + ".example.com:443"}}}
	},
	"header": func(n int, piece string) ask {
		return ask{fields: [][3]string{{"path", "", "/v1"}, {"header", "date", fmt.Sprintf("Mon, %02d Nov 2026 10:00:00 GMT", n)}, {"header", "x-trace", piece}}}
	},
	"cookie": func(n int, piece string) ask {
		return ask{fields: [][3]string{{"header", "cookie", fmt.Sprintf("n=%d; sid=%s; theme=dark", n, piece)}}}
	},
	"JSON": func(n int, piece string) ask {
		return ask{kind: jsonType, body: fmt.Sprintf(`{"id":"item-%d","note":"%s","tags":["a","b"]}`, n, piece)}
	},
	"form": func(n int, piece string) ask {
		return ask{kind: urlForm, body: fmt.Sprintf("id=%d&note=%s&ok=true", n, piece)}
	},
	"multipart": func(n int, piece string) ask {
		return ask{kind: mpType, body: parts("b0undary", field1, piece)}
	},
	"text": func(n int, piece string) ask { return ask{kind: "text/plain", body: piece} },
}

// pieces cuts s into pieces of n bytes.
func pieces(s string, n int) (out []string) {
	for ; len(s) > n; s = s[n:] {
		out = append(out, s[:n])
	}
	return append(out, s)
}

// TestTrail cuts secrets over requests. Without a trail each piece leaves.
func TestTrail(t *testing.T) {
	e := canaryEngine(t)
	for name, secret := range map[string]string{"own": ownCanary, "rule": ruleCanary, "own, in base64": base64.RawURLEncoding.EncodeToString([]byte(ownCanary))} {
		for where, carry := range carriers {
			if where == "label" && name != "own" {
				continue // a host has one case, and what is found without cases is a secret of the bottle
			}
			for _, size := range []int{3, 7, 20} {
				if strings.Contains(name, "base64") && size == 20 {
					continue // of which one is enough
				}
				sent := func(trail *Trail) (last Verdict, n int) {
					for _, p := range pieces(secret, size) {
						if last = carry(n, p).send(e, trail); !last.Allowed() {
							break
						}
						n++
					}
					return last, n
				}
				if v, n := sent(nil); !v.Allowed() || n != len(pieces(secret, size)) {
					t.Fatalf("the control, %s in %s by %d: %v", name, where, size, v)
				}
				var trail Trail
				v, n := sent(&trail)
				if v.Allowed() || v.Action != Blocked {
					t.Errorf("%s in %s by %d: %v", name, where, size, v)
					continue
				}
				if v.Findings[len(v.Findings)-1].Via != earlier {
					t.Errorf("%s in %s by %d: %v", name, where, size, v.Findings)
				}
				piece := pieces(secret, size)[n]
				if v := carry(n, piece).send(e, &trail); v.Allowed() {
					t.Errorf("%s in %s by %d: the last piece leaves at the second try", name, where, size)
				}
				if v := carry(n, piece).send(e, new(Trail)); !v.Allowed() {
					t.Errorf("%s in %s by %d: to another place: %v", name, where, size, v)
				}
			}
		}
	}
}

// Requests at the same time are in some order, and one of them completes the secret.
func TestTrailTogether(t *testing.T) {
	e := canaryEngine(t)
	for range 20 {
		var trail Trail
		first := carriers["query"](0, ruleCanary[:20])
		if v := first.send(e, &trail); !v.Allowed() {
			t.Fatal(v)
		}
		verdicts := make([]Verdict, 8)
		var wg sync.WaitGroup
		for i := range verdicts {
			wg.Go(func() { verdicts[i] = carriers["query"](i, ruleCanary[20:]).send(e, &trail) })
		}
		wg.Wait()
		for _, v := range verdicts {
			if v.Allowed() {
				t.Fatalf("it left: %v", v)
			}
		}
	}
}

// What was let pass in one request is not found again with the next, and what is beside
// it is no part of it.
func TestTrailCountsOnlyWhatSpans(t *testing.T) {
	o := Options{Key: []byte("a key that stays"), Modes: map[string]Mode{"github-pat": Warn}, Patterns: []Pattern{{ID: "long", Regexp: `long_[a-z0-9]{12,60}`}}}
	const long = "long_k3v8w2m5x9q1"
	o.Exempt = []Exemption{{Rule: "long", Fingerprint: scanBody(mustEngine(t, o), long, 0, BodyOptions{}).Findings[0].Fingerprint}}
	e := mustEngine(t, o)
	var trail Trail
	for n, want := range []struct {
		value string
		found int
	}{{"before", 0}, {ruleCanary, 1}, {"after", 0}, {long, 0}, {"more1", 0}, {long, 0}, {long, 0}, {"x", 0}, {ruleCanary[:20], 0}, {ruleCanary[20:], 1}} {
		v := carriers["JSON"](n, want.value).send(e, &trail)
		if !v.Allowed() || len(v.Findings) != want.found {
			t.Errorf("%d, %q: %v", n, want.value, v)
		}
	}
	// A rule that is not exempt, with one that is before it.
	for n, piece := range []string{long, "long_z7c4b6", "n0p8d2q5"} {
		if v := carriers["query"](n, piece).send(e, &trail); v.Allowed() != (n < 2) {
			t.Errorf("%d, %q: %v", n, piece, v)
		}
	}
}

func TestTrailIsBounded(t *testing.T) {
	e := canaryEngine(t)
	var trail Trail
	for n := range 8 {
		values := map[string]string{}
		for i := range 20 {
			values[fmt.Sprintf("key%d-%s", n*20+i, strings.Repeat("k", 300))] = strings.Repeat("v", 400)
		}
		body, _ := json.Marshal(values)
		if v := (ask{kind: jsonType, body: string(body)}).send(e, &trail); !v.Allowed() {
			t.Fatal(v)
		}
	}
	size := 0
	for name, at := range trail.slots {
		size += len(name) + cap(at.tail) + cap(at.last)
	}
	if len(trail.slots) > trailSlots || size > trailSlots*(4*edge+2*slotName) {
		t.Errorf("%d slots, %d bytes", len(trail.slots), size)
	}
	// A slot that is in use is not the one that is forgotten.
	for n, piece := range pieces(ownCanary, 6) {
		filler := map[string]string{}
		for i := range trailSlots / 2 {
			filler[fmt.Sprintf("f%d-%d", n, i)] = "v"
		}
		body, _ := json.Marshal(filler)
		if v := (ask{kind: jsonType, body: string(body)}).send(e, &trail); !v.Allowed() {
			t.Fatal(v)
		}
		if v := carriers["query"](n, piece).send(e, &trail); !v.Allowed() {
			return
		}
	}
	t.Error("it left, among other requests")
}

// TestTrailBenign sends what clients of an API send in turn, and holds that nothing of
// it is stopped, nor warned about.
func TestTrailBenign(t *testing.T) {
	e := mustEngine(t, Options{Secrets: benchSecrets()})
	var trail Trail
	random := noise(1 << 16)
	n, rounds := 0, 3000
	if raceEnabled {
		rounds = 200
	}
	for i := range rounds {
		r := random[i*16%(len(random)-64):][:64]
		id, token := fmt.Sprintf("%x", r[:16]), base64.RawURLEncoding.EncodeToString(r[:24])
		requests := []ask{
			{fields: [][3]string{{"path", "", "/v1/items/" + id}, {"query", "", "cursor=" + token + "&page=" + fmt.Sprint(i)}, {"header", "x-request-id", id}, {"header", "if-none-match", `"` + token + `"`}}},
			{fields: [][3]string{{"path", "", "/repos/acme/app/git/blobs/" + id}, {"header", "cookie", "session=" + token + "; seen=" + fmt.Sprint(1700000000+i)}}},
			{fields: [][3]string{{"path", "", "/upload"}, {"header", "content-range", fmt.Sprintf("bytes %d-%d/*", i*48, i*48+47)}}, kind: jsonType,
				body: fmt.Sprintf(`{"id":%q,"etag":%q,"data":%q,"at":"2026-11-23T10:%02d:%02dZ"}`, id, token, base64.StdEncoding.EncodeToString(r), i/60%60, i%60)},
			{fields: [][3]string{{"path", "", "/form"}}, kind: urlForm, body: "csrf=" + token + "&key=AKIA&secret=sk-&prefix=ghp_&value=" + id},
			{fields: [][3]string{{"path", "", "/log"}}, kind: "text/plain", body: token},
		}
		for _, a := range requests {
			n++
			v := a.send(e, &trail)
			if v.Action != Pass || slices.ContainsFunc(v.Findings, func(f Finding) bool { return f.Via == earlier }) {
				t.Errorf("request %d: %v", i, v)
			}
		}
	}
	t.Logf("%d requests to one host", n)
}

// BenchmarkTrail is a small request, with and without one before it.
func BenchmarkTrail(b *testing.B) {
	e := mustEngine(b, Options{Secrets: benchSecrets()})
	requests := make([]ask, 64)
	for i := range requests {
		requests[i] = ask{fields: [][3]string{
			{"method", "", "POST"}, {"authority", "", "api.example.com:443"}, {"path", "", fmt.Sprintf("/v1/items/%d", i)}, {"query", "", fmt.Sprintf("page=%d&lang=en", i)},
			{"header", "accept", "application/json"}, {"header", "user-agent", "client/1.2.3"}, {"header", "x-request-id", fmt.Sprintf("%032x", i*7919)},
		}, kind: jsonType, body: fmt.Sprintf(`{"id":%d,"name":"item %d of the list","kind":"sample","note":"%s"}`, i, i, strings.Repeat("some words about it ", 40))}
	}
	for name, trail := range map[string]*Trail{"alone": nil, "after others": new(Trail)} {
		b.Run(name, func(b *testing.B) {
			for i := range b.N {
				requests[i%len(requests)].send(e, trail)
			}
		})
	}
}

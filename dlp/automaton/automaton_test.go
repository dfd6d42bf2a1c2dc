package automaton

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func alnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func notAlnum(c byte) bool { return !alnum(c) }

// slow is the oracle: every literal at every position.
func slow(literals []string, p []byte, skip func(byte) bool) []string {
	var kept []byte
	var at []int
	for i, c := range p {
		if skip == nil || !skip(c) {
			kept, at = append(kept, lower(c)), append(at, i)
		}
	}
	var out []string
	for end := 1; end <= len(kept); end++ {
		for i, lit := range literals {
			if bytes.HasSuffix(kept[:end], bytes.ToLower([]byte(lit))) {
				out = append(out, fmt.Sprint(i, "@", at[end-1]+1))
			}
		}
	}
	slices.Sort(out)
	return out
}

// fast collects what a finds in p, fed in pieces of size n. A skipping automaton
// repeats a match on the bytes it skips; the first report counts.
func fast(a *Automaton, p []byte, n int) []string {
	var out []string
	var s State
	for i := 0; i < len(p); i += n {
		s = a.Scan(s, p[i:min(i+n, len(p))], func(lit int32, end int) {
			if c := p[i+end-1]; a.class[c] != 1 || a.next[1] != 0 || alnum(c) {
				out = append(out, fmt.Sprint(lit, "@", i+end))
			}
		})
	}
	slices.Sort(out)
	return out
}

func TestScanAgainstOracle(t *testing.T) {
	literals := []string{"he", "she", "his", "hers", "ABCabc", "aa", "aaa", "x1y2"}
	text := []byte("ushers she-HIS aaaa abcABCabcabc x1y2 X1Y2 h.e")
	a, err := New(literals, nil)
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= len(text); n++ {
		if got, want := fast(a, text, n), slow(literals, text, nil); !slices.Equal(got, want) {
			t.Fatalf("pieces of %d: got %v, want %v", n, got, want)
		}
	}
}

func TestSkip(t *testing.T) {
	literals := []string{"secret", "abab"}
	a, err := New(literals, notAlnum)
	if err != nil {
		t.Fatal(err)
	}
	text := []byte(`["se","cr", "et"] s-e-c-r-e-t secre t1 a.b,a;b`)
	if got, want := fast(a, text, 3), slow(literals, text, notAlnum); !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func TestPairIsTwoScans(t *testing.T) {
	a, _ := New([]string{"key", "token"}, nil)
	b, _ := New([]string{"sec", "tok"}, notAlnum)
	text := []byte("a key, a t.o.k.e.n, a token and a S-E-C")
	var got, want []string
	Pair(a, b, 0, 0, text,
		func(l int32, e int) { got = append(got, fmt.Sprint("a", l, e)) },
		func(l int32, e int) { got = append(got, fmt.Sprint("b", l, e)) })
	a.Scan(0, text, func(l int32, e int) { want = append(want, fmt.Sprint("a", l, e)) })
	b.Scan(0, text, func(l int32, e int) { want = append(want, fmt.Sprint("b", l, e)) })
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := New([]string{""}, nil); err == nil {
		t.Error("an empty literal was compiled")
	}
	if _, err := New([]string{"--"}, notAlnum); err == nil {
		t.Error("a literal of skipped bytes was compiled")
	}
	big := make([]string, 300)
	for i := range big {
		big[i] = fmt.Sprint(i) + strings.Repeat("x", 1000)
	}
	if _, err := New(big, nil); err == nil {
		t.Error("an automaton over the bound was compiled")
	}
}

func FuzzScan(f *testing.F) {
	f.Add("he", "she", "ushers", 3)
	f.Add("AA", "aaa", "aaaaa", 1)
	f.Fuzz(func(t *testing.T, x, y, text string, n int) {
		a, err := New([]string{x, y}, nil)
		if err != nil {
			return
		}
		if n < 1 {
			n = 1
		}
		if got, want := fast(a, []byte(text), n), slow([]string{x, y}, []byte(text), nil); !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

func BenchmarkScan(b *testing.B) {
	a, _ := New([]string{"ghp_", "sk-ant-", "akia", "token", "secret", "api", "private key"}, nil)
	s, _ := New([]string{"ab12cd34ef56ab12cd34", "zz12cd34ef56ab12cd34"}, notAlnum)
	text := bytes.Repeat([]byte("func (a *Automaton) Scan(s State, p []byte) { return next[row] }\n"), 1000)
	none := func(int32, int) {}
	b.Run("one", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			a.Scan(0, text, none)
		}
	})
	b.Run("pair", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			Pair(a, s, 0, 0, text, none, none)
		}
	})
}

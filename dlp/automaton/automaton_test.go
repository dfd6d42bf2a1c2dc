package automaton

import (
	"bytes"
	"fmt"
	"math/rand/v2"
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
	bones := func(s []byte) (kept []byte, at []int) {
		for i, c := range s {
			if skip == nil || !skip(c) {
				kept, at = append(kept, lower(c)), append(at, i)
			}
		}
		return
	}
	kept, at := bones(p)
	var out []string
	for i, lit := range literals {
		want, _ := bones([]byte(lit))
		for from := 0; ; from++ {
			n := bytes.Index(kept[from:], want)
			if n < 0 {
				break
			}
			from += n
			out = append(out, fmt.Sprint(i, "@", at[from+len(want)-1]+1))
		}
	}
	slices.Sort(out)
	return out
}

// paired is true for some pairs that begin in three ways, one of which another shares.
func paired(first, second byte) bool {
	switch first {
	case '-', '.':
		return alnum(second)
	case 'a', 0:
		return second == 'a' || second == '-'
	}
	return false
}

// slowPairs returns the number of bytes up to the end of each pair.
func slowPairs(p []byte) (ends []int) {
	for i := 1; i < len(p); i++ {
		if paired(p[i-1], p[i]) {
			ends = append(ends, i+1)
		}
	}
	return ends
}

// fast collects what a finds in p, fed in pieces of at most size bytes, and holds that
// it comes in order.
func fast(t *testing.T, a *Automaton, p []byte, size func() int) (plain, strewn []string, pairs []int) {
	t.Helper()
	var c Cursor
	for i := 0; i < len(p); {
		n := min(size(), len(p)-i)
		collect := func(to *[]string) func(int32, int) {
			last := 0
			return func(lit int32, end int) {
				if end < last || end > n {
					t.Fatalf("a match at %d of %d after one at %d", end, n, last)
				}
				last = end
				*to = append(*to, fmt.Sprint(lit, "@", i+end))
			}
		}
		a.Scan(&c, p[i:i+n], collect(&plain), collect(&strewn), func(end int) { pairs = append(pairs, i+end) })
		i += n
	}
	slices.Sort(plain)
	slices.Sort(strewn)
	return plain, strewn, pairs
}

func compare(t *testing.T, plain, strewn []string, text []byte, size func() int) {
	t.Helper()
	a, err := New(plain, strewn, notAlnum, paired)
	if err != nil {
		t.Fatal(err)
	}
	gotPlain, gotStrewn, gotPairs := fast(t, a, text, size)
	if want := slow(plain, text, nil); !slices.Equal(gotPlain, want) {
		t.Fatalf("%q in %q: got %v, want %v", plain, text, gotPlain, want)
	}
	if want := slow(strewn, text, notAlnum); !slices.Equal(gotStrewn, want) {
		t.Fatalf("%q strewn in %q: got %v, want %v", strewn, text, gotStrewn, want)
	}
	if want := slowPairs(text); !slices.Equal(gotPairs, want) {
		t.Fatalf("pairs in %q: got %v, want %v", text, gotPairs, want)
	}
}

func TestScanAgainstOracle(t *testing.T) {
	plain := []string{"he", "she", "his", "hers", "ABCabc", "aa", "aaa", "x1y2"}
	strewn := []string{"secret", "abab", "c-r e", "abcdefgh", "bc"}
	text := []byte(`ushers she-HIS aaaa abcABCabcabc x1y2 X1Y2 h.e ["se","cr", "et"] s-e-c-r-e-t secre t1 a.b,a;b abcdabcdefghabc`)
	for n := 1; n <= len(text); n++ {
		compare(t, plain, strewn, text, func() int { return n })
	}
}

// TestLanes compares with the oracle over texts of few letters, where literals and
// what is almost one stand everywhere, the borders of the lanes included.
func TestLanes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	word := func(letters string, n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = letters[r.IntN(len(letters))]
		}
		return string(b)
	}
	for round := range 400 {
		letters := []string{"ab-", "abC.- \x00\xff", "a-", "abcdefghij--------------"}[round%4]
		var plain, strewn []string
		for range 1 + r.IntN(6) {
			plain = append(plain, word(letters, 1+r.IntN(9)))
			strewn = append(strewn, "a"+word(letters, r.IntN(30)))
		}
		text := word(letters, r.IntN(4*lanes*laneMin))
		if round%5 == 0 { // a border that nothing but skipped bytes follows
			text += strings.Repeat("-", 2*lanes*laneMin) + text
		}
		compare(t, plain, strewn, []byte(text), func() int {
			if round%3 == 0 {
				return len(text)
			}
			return 1 + r.IntN(2*lanes*laneMin)
		})
	}
}

// TestCut holds that the product shrinks by cutting more where it grows too large, and
// finds the same.
func TestCut(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var strewn []string
	for range 8000 {
		b := make([]byte, 12)
		for i := range b {
			b[i] = "abcdefghijklmnopqrstuvwxyz0123456789"[r.IntN(36)]
		}
		strewn = append(strewn, string(b))
	}
	plain := []string{"token"}
	for _, c := range "abcdefghijklmnopqrstuvwxyz" {
		plain = append(plain, string(c)+"-", "-"+string(c)+".")
	}
	a, err := New(plain, strewn, notAlnum, nil)
	if err != nil {
		t.Fatal(err)
	}
	if a.deep >= a.strewn.rowOfDepth(cutMost) {
		t.Fatal("nothing was cut")
	}
	var text []byte
	for i := range 100 {
		text = append(text, " a token: "+strewn[i][:8]+"-"+strewn[i][8:]+strewn[i][:9]...)
	}
	_, got, _ := fast(t, a, text, func() int { return 1000 })
	if len(got) != 100 {
		t.Errorf("%d strewn literals, want 100", len(got))
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := New([]string{""}, nil, nil, nil); err == nil {
		t.Error("an empty literal was compiled")
	}
	if _, err := New(nil, []string{"--"}, notAlnum, nil); err == nil {
		t.Error("a literal of skipped bytes was compiled")
	}
	if _, err := New(nil, nil, nil, func(first, second byte) bool { return first == second }); err == nil {
		t.Error("256 kinds of pairs were compiled")
	}
	big := make([]string, 300)
	for i := range big {
		big[i] = fmt.Sprint(i) + strings.Repeat("x", 1000)
	}
	if _, err := New(big, nil, nil, nil); err == nil {
		t.Error("an automaton over the bound was compiled")
	}
}

func FuzzScan(f *testing.F) {
	f.Add("he", "she", "ushers", 3)
	f.Add("AA", "aaa", "aaaaa", 1)
	f.Add("abcde", "b-c", "ab-cde", 100)
	f.Fuzz(func(t *testing.T, x, y, text string, n int) {
		if len(x)+len(y) > 100 || len(text) > 2000 { // the oracle is slow
			return
		}
		n = max(n, 1)
		if _, err := New([]string{x, y}, []string{y, x}, notAlnum, nil); err != nil {
			return
		}
		compare(t, []string{x, y}, []string{y, x}, []byte(text), func() int { return n })
		long := bytes.Repeat([]byte(text), 1+2*lanes*laneMin/(len(text)+1))
		compare(t, []string{x, y}, []string{y, x}, long, func() int { return len(long) })
	})
}

func BenchmarkScan(b *testing.B) {
	a, _ := New([]string{"ghp_", "sk-ant-", "akia", "token", "secret", "api", "private key"},
		[]string{"ab12cd34ef56ab12cd34", "zz12cd34ef56ab12cd34"}, notAlnum, nil)
	text := bytes.Repeat([]byte("func (a *Automaton) Scan(s State, p []byte) { return next[row] }\n"), 1000)
	none := func(int32, int) {}
	b.SetBytes(int64(len(text)))
	var c Cursor
	for b.Loop() {
		a.Scan(&c, text, none, none, nil)
	}
}

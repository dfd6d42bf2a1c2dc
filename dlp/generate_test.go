package dlp

import (
	"hash/fnv"
	"math/rand/v2"
	"regexp/syntax"
	"strings"
	"testing"

	"bottled/dlp/rules"
)

// generate makes a match of r up, the same in every run.
func generate(t *testing.T, r *rules.Rule) string {
	t.Helper()
	tree, err := syntax.Parse(r.Regexp.String(), syntax.Perl)
	if err != nil {
		t.Fatal(err)
	}
	h := fnv.New64()
	h.Write([]byte(r.ID))
	g := generator{rand.New(rand.NewPCG(h.Sum64(), 0))}
	out := newRule(r, Block)
next:
	for range 500 {
		var b strings.Builder
		g.write(&b, tree)
		s := b.String()
		at := r.Regexp.FindStringSubmatchIndex(s)
		if at == nil {
			continue
		}
		from, to := out.secret(at)
		if ok, _ := out.real([]byte(s[from:to])); !ok {
			continue next
		}
		return s
	}
	t.Fatalf("%s: no match made up", r.ID)
	return ""
}

type generator struct{ r *rand.Rand }

func (g generator) write(b *strings.Builder, re *syntax.Regexp) {
	times := func(lo, hi int) {
		if hi < 0 || hi > lo+40 {
			hi = lo + 40
		}
		for range lo + g.r.IntN(hi-lo+1) {
			g.write(b, re.Sub[0])
		}
	}
	switch re.Op {
	case syntax.OpLiteral:
		b.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		for range 1000 {
			i := g.r.IntN(len(re.Rune)/2) * 2
			c := re.Rune[i] + rune(g.r.IntN(int(min(re.Rune[i+1], 0x7e)-min(re.Rune[i], 0x7e))+1))
			if c > 0x20 && c < 0x7f {
				b.WriteRune(c)
				return
			}
		}
		b.WriteRune(re.Rune[0])
	case syntax.OpAnyCharNotNL:
		b.WriteByte('.') // what an unquoted dot in a host name stands for
	case syntax.OpAnyChar:
		b.WriteByte(byte('a' + g.r.IntN(26)))
	case syntax.OpAlternate:
		g.write(b, re.Sub[g.r.IntN(len(re.Sub))])
	case syntax.OpStar:
		times(0, -1)
	case syntax.OpPlus:
		times(1, -1)
	case syntax.OpQuest:
		times(0, 1)
	case syntax.OpRepeat:
		times(re.Min, re.Max)
	default:
		for _, sub := range re.Sub {
			g.write(b, sub)
		}
	}
}

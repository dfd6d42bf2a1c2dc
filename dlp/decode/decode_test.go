package decode

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

const plain = "the canary is ghp_0123456789abcdefABCDEF0123456789abcd, so be it"

func TestRadixEveryPhaseAndSplit(t *testing.T) {
	for _, tc := range []struct {
		a    *Alphabet
		text string
	}{
		{Base64, base64.StdEncoding.EncodeToString([]byte(plain))},
		{Base64, base64.RawURLEncoding.EncodeToString([]byte(plain))},
		{Base32, base32.StdEncoding.EncodeToString([]byte(plain))},
		{Lower, strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString([]byte(plain)))},
		{Hex, hex.EncodeToString([]byte(plain))},
		{Hex, strings.ToUpper(hex.EncodeToString([]byte(plain)))},
	} {
		for junk := range tc.a.Phases {
			text := []byte(strings.Repeat(tc.text[:1], junk) + tc.text)
			found := false
			for phase := range tc.a.Phases {
				for cut := 0; cut <= len(text); cut++ {
					r := NewRadix(tc.a, phase)
					got := r.Append(r.Append(nil, text[:cut]), text[cut:])
					found = found || bytes.Contains(got, []byte(plain))
				}
			}
			if !found {
				t.Errorf("%s with %d characters in front: no phase decodes it", tc.a.Name, junk)
			}
		}
		wrapped := NewRadix(tc.a, 0)
		if got := wrapped.Append(nil, []byte(strings.Join(strings.Split(tc.text, ""), "\r\n"))); string(got) != plain {
			t.Errorf("%s, one character a line: %q", tc.a.Name, got)
		}
	}
}

func TestFold(t *testing.T) {
	for in, want := range map[string]string{
		"%67%68p_%30":                        "ghp_0",
		`\u0067\x68p\u{5f}\060`:              "ghp_0",
		"&#103;&#x68;p&lowbar;&#48":          "ghp_0",
		"g=68p=\r\n_=\n0":                    "ghp_0",
		"ｇｈｐ＿０":                              "ghp_0",
		"g\u200bh\u00adp\ufeff_0":            "ghp_0",
		"g\u0332hp_0":                        "ghp_0",
		"АKIА":                               "AKIA",
		"𝐀𝐊𝐈𝐀":                               "AKIA",
		"\U000e0041\U000e004b":               "AK",
		"A\x00K\x00I\x00A\x00":               "AKIA",
		`a\nb\"c\\d\/e`:                      "a\nb\"c\\d/e",
		"100% of it, a=b & c, 日本語, \\w \xff": "100% of it, a=b & c, 日本語, \\w \xff",
		"%u0041%zz%4":                        "A%zz%4",
		"ﬁle ㎏":                              "file kg",
	} {
		got, n := Fold(nil, []byte(in), true)
		if string(got) != want || n != len(in) {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
		for cut := range len(in) {
			first, n := Fold(nil, []byte(in[:cut]), false)
			both, _ := Fold(first, []byte(in[n:]), true)
			if string(both) != want {
				t.Errorf("%q cut at %d: got %q, want %q", in, cut, both, want)
			}
		}
	}
}

func TestBlank(t *testing.T) {
	for in, want := range map[string]string{
		`a\nAKIA\"`: `a  AKIA  `, "q%20AKIA%41": "q   AKIA%41", "&quot;key&#32;": "      key     ", `\w=41 & 5%`: `\w=41 & 5%`, "": "",
	} {
		if got := string(Blank(nil, []byte(in))); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// nextFold returns the position of the first escape or look-alike that hides something, or
// len(src).
func nextFold(src []byte) int {
	to := len(src)
	for i := range to - 1 {
		if MayFold(src[i], src[i+1]) && Hides(src, i) {
			to = i
			break
		}
	}
	if at := NextLetter(src, 0, to); at < to {
		return at
	}
	return to
}

func TestNextFold(t *testing.T) {
	for in, want := range map[string]int{
		"a plain text, with 100% and a=b & <c>":   -1,
		`{"a":"line\nline \"quoted\" \\"}`:        -1,
		"日本語 and Ü":                               -1,
		"\x00\x01\x02\x00\x00":                    -1,
		"ab%20%41":                                5,
		`ab\n\u0041`:                              4,
		`ab\\u0041`:                               3,
		"ab&amp;&#65;":                            7,
		"ab\u200bc":                               2,
		"ab=\r\nc":                                2,
		"a\x00b\x00c\x00":                         1,
		"\x00a\x00b\x00c":                         2,
		"a\x00\x00\x00b\x00\x00\x00":              3,
		"\x00\x00\x00a\x00\x00\x00b\x00\x00\x00c": 6,
		"text \u0410KIA more of the text":         5,
		"\x00\x01\xff\xfe\u0410\x00\x01\xff\xfe\x80\x90\xa0\x01\x02\x03\x04\x05\x06\x07": -1,
	} {
		if want < 0 {
			want = len(in)
		}
		if got := nextFold([]byte(in)); got != want {
			t.Errorf("%q: got %d, want %d", in, got, want)
		}
	}
}

func compress(t testing.TB, f Format, p []byte) []byte {
	var b bytes.Buffer
	var w io.WriteCloser
	switch f {
	case Gzip:
		w = gzip.NewWriter(&b)
	case Zlib:
		w = zlib.NewWriter(&b)
	case Deflate:
		w, _ = flate.NewWriter(&b, 6)
	case Brotli:
		w = brotli.NewWriter(&b)
	case Zstd:
		w, _ = zstd.NewWriter(&b)
	}
	if _, err := w.Write(p); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestInflate(t *testing.T) {
	long := bytes.Repeat([]byte(plain), 5000)
	for f := Gzip; f <= Zstd; f++ {
		packed := compress(t, f, long)
		for _, size := range []int{1, 7, 4096, len(packed)} {
			var got bytes.Buffer
			d := NewInflater(f, func(p []byte) error { got.Write(p); return nil })
			for i := 0; i < len(packed); i += size {
				if _, err := d.Write(packed[i:min(i+size, len(packed))]); err != nil && err != io.EOF {
					t.Fatalf("%v in pieces of %d: %v", f, size, err)
				}
			}
			if err := d.Close(); err != nil || !bytes.Equal(got.Bytes(), long) {
				t.Errorf("%v in pieces of %d: %d bytes, %v", f, size, got.Len(), err)
			}
		}
	}
}

func TestInflateRefuses(t *testing.T) {
	none := func([]byte) error { return nil }
	for f := Gzip; f <= Zstd; f++ {
		packed := compress(t, f, []byte(plain))
		for name, in := range map[string][]byte{
			"cut short":     packed[:len(packed)-3],
			"trailing data": append(bytes.Clone(packed), "trailing data, quite some of it"...),
			"not at all":    []byte("\x07\x07plain text that is not compressed"),
		} {
			d := NewInflater(f, none)
			d.Write(in)
			if err := d.Close(); err == nil {
				t.Errorf("%v, %s: no error", f, name)
			}
		}
	}
	d := NewInflater(0, none)
	if err := d.Close(); err == nil {
		t.Error("the zero format inflates")
	}
	refusal := fmt.Errorf("enough")
	d = NewInflater(Gzip, func([]byte) error { return refusal })
	d.Write(compress(t, Gzip, []byte(plain)))
	if err := d.Close(); err != refusal {
		t.Errorf("error of the sink: got %v", err)
	}
}

func FuzzFold(f *testing.F) {
	f.Add([]byte(`%41\u0041&#65;=41`+"\u200b\x00А"), 3)
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		want, n := Fold(nil, in, true)
		if n != len(in) {
			t.Fatalf("took %d of %d", n, len(in))
		}
		if cut < 0 || cut > len(in) {
			return
		}
		first, n := Fold(nil, in[:cut], false)
		if got, _ := Fold(first, in[n:], true); !bytes.Equal(got, want) {
			t.Fatalf("cut at %d: %q, whole: %q", cut, got, want)
		}
		if at := NextLetter(in, 0, len(in)); at < 0 || at > len(in) {
			t.Fatalf("NextLetter: %d", at)
		}
		if i, ok := passedOver(in); ok {
			t.Fatalf("%q at %d hides something and is passed over", in, i)
		}
	})
}

func FuzzInflate(f *testing.F) {
	for format := Gzip; format <= Zstd; format++ {
		f.Add(uint8(format), compress(f, format, []byte(plain)), 5)
	}
	f.Fuzz(func(t *testing.T, format uint8, in []byte, cut int) {
		total := 0
		d := NewInflater(Format(format), func(p []byte) error {
			if total += len(p); total > 1<<20 {
				return io.ErrShortBuffer
			}
			return nil
		})
		if cut > 0 && cut < len(in) {
			d.Write(in[:cut])
			in = in[cut:]
		}
		d.Write(in)
		d.Close()
	})
}

// TestBase64Chars compares what reads eight bytes at a time with the table.
func TestBase64Chars(t *testing.T) {
	for c := range 256 {
		for _, other := range []byte{'A', 0, 0xff, ' '} {
			p := bytes.Repeat([]byte{other}, 8)
			for i := range p {
				p[i] = byte(c)
				got := base64Chars(binary.LittleEndian.Uint64(p))
				for k := range p {
					if want := Base64.Has(p[k]); want != (got>>(8*k+7)&1 == 1) {
						t.Fatalf("%#x at %d of %x: got %v, want %v", p[k], k, p, !want, want)
					}
				}
				p[i] = other
			}
		}
	}
}

// slowRun looks at every byte. Where there is no run it returns where one may begin that
// goes on behind the end.
func slowRun(a *Alphabet, p []byte, from, least int) (int, bool) {
	start, streak := from, 0
	for i := from; i < len(p); i++ {
		if streak++; !a.Has(p[i]) {
			streak, start = 0, i+1
		}
		if streak == least {
			return start, true
		}
	}
	return start, false
}

// TestRunAndSpan compares runs with what a look at every byte finds.
func TestRunAndSpan(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		p := make([]byte, r.IntN(80))
		letters, few := "ABCDEF2345Aabc+0 \x80 "[r.IntN(8):], r.IntN(12)
		for i := range p {
			p[i] = letters[r.IntN(len(letters)-few)]
		}
		from, least := r.IntN(len(p)+1), 1+r.IntN(40)
		wide := max(least, 10)
		narrow, some := NarrowRun(p, from, wide)
		for _, a := range []*Alphabet{Base64, Hex, Base32, Lower} {
			if at, ok := slowRun(a, p, from, wide); a != Base64 && (narrow > at || ok && !some) {
				t.Fatalf("%s: narrow run of %d in %q from %d: got %d %v, want at most %d %v", a.Name, wide, p, from, narrow, some, at, ok)
			}
			span := 0
			for span < len(p)-from && a.Has(p[from+span]) {
				span++
			}
			if got := a.Span(p[from:]); got != span {
				t.Fatalf("%s: span of %q: got %d, want %d", a.Name, p[from:], got, span)
			}
			want, found := slowRun(a, p, from, least)
			got, ok := a.Run(p, from, least)
			if ok != found || ok && got != want || got < from || got > want {
				t.Fatalf("%s: run of %d in %q from %d: got %d %v, want %d %v", a.Name, least, p, from, got, ok, want, found)
			}
		}
	}
}

// TestWords compares what decodes words with what decodes characters.
func TestWords(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		src := make([]byte, r.IntN(100))
		for i := range src {
			src[i] = "ABCDabcd0189+/-_"[r.IntN(16)]
		}
		for phase := range Base64.Phases {
			fast, slow := NewRadix(Base64, phase), NewRadix(Base64, phase)
			var got []byte
			for rest := src; len(rest) > 0; {
				n := 1 + r.IntN(len(rest))
				words, tail := Words(nil, rest[:n])
				got = fast.Append(fast.AppendWords(got, words), tail)
				rest = rest[n:]
			}
			if want := slow.Append(nil, src); !bytes.Equal(got, want) {
				t.Fatalf("%q at phase %d: got %x, want %x", src, phase, got, want)
			}
		}
	}
}

// passedOver finds an escape that hides something, though it may not be one. A backslash
// before another is none: what they hide is found with the other.
func passedOver(src []byte) (int, bool) {
	for i := range max(1, len(src)) - 1 {
		c, next := src[i], src[i+1]
		if c < 0x80 && starts[c] && Hides(src, i) && !MayFold(c, next) && !(c == '\\' && next == c) {
			return i, true
		}
	}
	return 0, false
}

// TestNextLetter compares with a look at every byte.
func TestNextLetter(t *testing.T) {
	l := table()
	slow := func(src []byte, from, to int) int {
		for at := from; at < to && at+1 < len(src); at++ {
			i := at - (at-from)%group
			if src[at] >= 0xc2 && src[at+1]&0xc0 == 0x80 && mostlyUTF8(src[i:min(i+group, len(src))]) && l.hidesLetter(src, at) {
				return at
			}
		}
		return to
	}
	r := rand.New(rand.NewPCG(5, 6))
	alphabets := []string{"ab0 %&=\\u\x00#;4", "ab \xd0\x90\xce\x91\xe2\x80\x8b\xf0\x9d\x90\x80", "\xff\x80\xd0\x90 a%41\x00", "abcdefgh ijkl=\n"}
	for round := range 20000 {
		src := make([]byte, r.IntN(120))
		letters := alphabets[round%len(alphabets)]
		for i := 0; i < len(src); i++ {
			k := r.IntN(len(letters))
			src[i] = letters[k]
			for r.IntN(8) > 0 && i+1 < len(src) && k+1 < len(letters) { // mostly what stands together
				i, k = i+1, k+1
				src[i] = letters[k]
			}
		}
		from := r.IntN(len(src) + 1)
		to := from + r.IntN(len(src)-from+1)
		if got, want := NextLetter(src, from, to), slow(src, from, to); got != want {
			t.Fatalf("%q from %d to %d: got %d, want %d", src, from, to, got, want)
		}
		if i, ok := passedOver(src); ok {
			t.Fatalf("%q at %d hides something and is passed over", src, i)
		}
	}
}

// TestDeflated holds that nothing is turned away that a decompressor makes six bytes of.
func TestDeflated(t *testing.T) {
	says := func(p []byte) int {
		n := 0
		d := NewInflater(Deflate, func(out []byte) error { n += len(out); return nil })
		d.Write(p)
		d.Close()
		return n
	}
	r := rand.New(rand.NewPCG(7, 8))
	passed, all := 0, 0
	for round := range 4000 {
		p := make([]byte, 64)
		for i := range p {
			p[i] = byte(r.Uint32())
		}
		if round%4 == 0 { // one that is well-formed, with a byte of it changed
			text := make([]byte, 200)
			for i := range text {
				text[i] = plain[r.IntN(len(plain))] + byte(round/4%2)*0x70
			}
			var b bytes.Buffer
			w, _ := flate.NewWriter(&b, []int{flate.HuffmanOnly, 1, 9, 0}[round/8%4])
			w.Write(text[:1+r.IntN(len(text))])
			w.Close()
			p = b.Bytes()
			p[r.IntN(len(p))] ^= byte(r.IntN(2)) << r.IntN(8)
		}
		ok := Deflated(p)
		if !ok && says(p) >= deflateLeast {
			t.Fatalf("%x is turned away, and says %d bytes", p, says(p))
		}
		if cut := p[:r.IntN(len(p))]; !Deflated(cut) && ok {
			t.Fatalf("%x is turned away, %x is not", cut, p)
		}
		if round%4 > 0 {
			all++
			if ok {
				passed++
			}
		}
	}
	t.Logf("of random bytes %d in %d pass", passed, all)
	if passed > all/5 {
		t.Error("too many for the test to be of use")
	}
}

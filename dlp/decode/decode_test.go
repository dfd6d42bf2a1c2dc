package decode

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
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

func TestNextFold(t *testing.T) {
	for in, want := range map[string]int{
		"a plain text, with 100% and a=b & <c>": -1,
		`{"a":"line\nline \"quoted\" \\"}`:      -1,
		"日本語 and Ü":                             -1,
		"\x00\x01\x02\x00\x00":                  -1,
		"ab%20%41":                              5,
		`ab\n\u0041`:                            4,
		`ab\\u0041`:                             3,
		"ab&amp;&#65;":                          7,
		"ab\u200bc":                             2,
		"ab=\r\nc":                              2,
		"a\x00b\x00c\x00":                       1,
		"\x00a\x00b\x00c":                       2,
		"text \u0410KIA more of the text":       5,
		"\x00\x01\xff\xfe\u0410\x00\x01\xff\xfe\x80\x90\xa0\x01\x02\x03\x04\x05\x06\x07": -1,
	} {
		if want < 0 {
			want = len(in)
		}
		if got := NextFold([]byte(in), 0); got != want {
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
		if at := NextFold(in, 0); at < 0 || at > len(in) {
			t.Fatalf("NextFold: %d", at)
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

package proposal_test

import (
	"strings"
	"testing"
	"unicode"

	"bottled/proposal"
)

// unsafe fails the test if s could do something else on a line of a terminal
// than be read. It is written apart from the code: a list of what must not occur
// against a list of what may.
func unsafe(t *testing.T, s string) {
	t.Helper()
	for _, r := range s {
		switch {
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), unicode.Is(unicode.Cf, r),
			unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r), unicode.Is(unicode.Co, r),
			strings.ContainsRune("\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f\u115f\u1160\u3164\uffa0\u2800\ufe0f\u180e\u00a0", r):
			t.Errorf("%q holds %U", s, r)
		}
	}
}

func TestFreeTextIsOneSafeLine(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"plain text, with – dashes & <tags>", "plain text, with – dashes & <tags>"},
		{"  two\n\tlines\r\n ", "two lines"},
		{"\x1b]0;title\x07red\x1b[31m", "�]0;title�red�[31m"},
		{"\u202egnp.exe\u202c \u2066x\u2069", "�gnp.exe� �x�"},
		{"zero\u200bwidth\u200d\ufeff\u2060", "zero�width���"},
		{"tags \U000e0041\U000e007f", "tags ��"},
		{"hangul filler \u3164, braille \u2800", "hangul filler �, braille �"},
		{"selector \ufe0f", "selector �"},
		{"\u0085\u2028\u2029x", "x"},
		{"a\x00b\x7fc\u009bd", "a�b�c�d"},
		{"bad \xff utf-8", "bad � utf-8"},
		{"zalgo a\u0300\u0301\u0302\u0303\u0304", "zalgo a\u0300\u0301\u0302��"},
		{"שלום, ελληνικά, 中文, ไทย", "שלום, ελληνικά, 中文, ไทย"},
		{"private \ue000", "private �"},
		{"no\u00a0break", "no break"},
	} {
		p, err := proposal.ForRoute("a.example.com", nil, nil, c.in)
		if err != nil {
			t.Errorf("%q: %v", c.in, err)
			continue
		}
		if p.Reason() != c.want {
			t.Errorf("%q\ngot  %q\nwant %q", c.in, p.Reason(), c.want)
		}
		unsafe(t, p.Reason())
	}
}

func FuzzFreeText(f *testing.F) {
	f.Add("\u202e\x1b[31m", "a\u0300\u0301\u0302\u0303")
	f.Fuzz(func(t *testing.T, reason, change string) {
		p, err := proposal.ForCapability("mounts", change, reason)
		if err != nil {
			unsafe(t, err.Error())
			return
		}
		unsafe(t, p.Reason())
		unsafe(t, p.String())
		if strings.Contains(p.Reason(), "\n") || len([]rune(p.Reason())) > 501 {
			t.Errorf("%q", p.Reason())
		}
		same(t, p)
	})
}

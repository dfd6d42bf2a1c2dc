package dlp

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
)

// skeletonMin is how many letters and digits a form of a secret must have to be
// looked for with everything else passed over; skeletonLen is how many of them are
// looked for at once. Twelve are about 60 bits.
const (
	skeletonMin = 12
	skeletonLen = 20
)

// skeleton keeps the letters and digits of s.
func skeleton(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x80 && !punctuation(byte(r)) {
			return r
		}
		return -1
	}, s)
}

// punctuation reports whether c is passed over when secrets are looked for:
// everything but ASCII letters and digits.
func punctuation(c byte) bool {
	return c < '0' || c > '9' && c < 'A' || c > 'Z' && c < 'a' || c > 'z'
}

// skeletons returns what to look for, in letters and digits, to find v in any of
// its forms. As base64 differs from its URL-safe form in punctuation only, and
// escapes and lists of numbers are digits between punctuation, a handful of forms
// covers the usual encodings.
func skeletons(v string) []string {
	v = distinctive(v)
	if len(skeleton(v)) < skeletonMin {
		return nil
	}
	var out []string
	add := func(form string, windows int) {
		form = strings.ToLower(skeleton(form))
		if len(form) < skeletonMin {
			return
		}
		for _, w := range windowsOf(form, windows) {
			if !slices.Contains(out, w) {
				out = append(out, w)
			}
		}
	}
	add(v, 4)
	for _, f := range aligned(v, 3, base64.StdEncoding.EncodeToString, 8, 6) {
		add(f, 3)
	}
	add(hex.EncodeToString([]byte(v)), 3)
	for _, f := range aligned(v, 5, base32.StdEncoding.EncodeToString, 8, 5) {
		add(f, 1)
	}
	for _, f := range aligned(v, 5, base32.HexEncoding.EncodeToString, 8, 5) {
		add(f, 1)
	}
	for _, f := range aligned(wide(v), 3, base64.StdEncoding.EncodeToString, 8, 6) {
		add(f, 1)
	}
	for _, each := range []string{"x%02x", "0x%02x", "u%04x", "%d", "%03o"} {
		add(spell(v, each), 1)
	}
	add(reversed(v), 1)
	add(rot13(v), 1)
	return out
}

// distinctive is the part of a secret that others do not share: of a JWT the
// signature, as its header is the same for everybody.
func distinctive(v string) string {
	if strings.HasPrefix(v, "eyJ") {
		if parts := strings.Split(v, "."); len(parts) == 3 && len(parts[2]) >= 2*skeletonMin {
			return parts[2]
		}
	}
	return v
}

// windowsOf returns n windows of form, spread evenly and always with the last, so
// that a piece of a secret is found as well.
func windowsOf(form string, n int) []string {
	if len(form) <= skeletonLen {
		return []string{form}
	}
	spare := len(form) - skeletonLen
	if n == 1 {
		return []string{form[spare:]}
	}
	var out []string
	for i := range n {
		at := spare * i / (n - 1)
		out = append(out, form[at:at+skeletonLen])
	}
	return out
}

// aligned encodes v at each of n offsets and keeps the characters that are the same
// whatever stands around v.
func aligned(v string, n int, encode func([]byte) string, byteBits, charBits int) []string {
	var out []string
	for pad := range n {
		text := strings.TrimRight(encode(append(make([]byte, pad), v...)), "=")
		first := (pad*byteBits + charBits - 1) / charBits
		last := (pad + len(v)) * byteBits / charBits
		if first < last {
			out = append(out, text[first:last])
		}
	}
	return out
}

// wide is v in UTF-16, little-endian.
func wide(v string) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(v)) {
		b.WriteByte(byte(u))
		b.WriteByte(byte(u >> 8))
	}
	return b.String()
}

func spell(v, each string) string {
	var b strings.Builder
	for i := range len(v) {
		fmt.Fprintf(&b, each, v[i])
	}
	return b.String()
}

func reversed(v string) string {
	b := []byte(v)
	slices.Reverse(b)
	return string(b)
}

func rot13(v string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return 'a' + (r-'a'+13)%26
		case 'A' <= r && r <= 'Z':
			return 'A' + (r-'A'+13)%26
		}
		return r
	}, v)
}

// exactForms returns what to look for, byte for byte, to find a secret too short
// for a skeleton.
func exactForms(v string) []string {
	out := []string{v, hex.EncodeToString([]byte(v)), strings.ToUpper(hex.EncodeToString([]byte(v)))}
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		for _, f := range aligned(v, 3, enc.EncodeToString, 8, 6) {
			if len(f) >= MinSecret && !slices.Contains(out, f) {
				out = append(out, f)
			}
		}
	}
	return out
}

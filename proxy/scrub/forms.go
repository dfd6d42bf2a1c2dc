package scrub

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strings"
)

// forms returns secret as servers may write it: raw, percent-encoded (as a
// query, as a path, every byte), escaped for JSON and HTML, hexadecimal, in UTF-16, and
// base64 in both alphabets at each of the alignments that it can have inside a
// longer encoded text. Duplicates are left out.
func forms(secret string) []string {
	seen := map[string]bool{}
	var out []string
	add := func(s string) {
		if s != "" && !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	add(secret)
	add(url.QueryEscape(secret))
	add(url.PathEscape(secret))
	add(lowerEscapes(url.QueryEscape(secret)))
	add(lowerEscapes(url.PathEscape(secret)))
	add(everyByte(secret, "%%%02X"))
	add(everyByte(secret, "%%%02x"))
	for _, s := range jsonForms(secret) {
		add(s)
	}
	add(html.EscapeString(secret))
	add(hex.EncodeToString([]byte(secret)))
	add(strings.ToUpper(hex.EncodeToString([]byte(secret))))
	add(everyByte(secret, "%c\x00")) // UTF-16, little endian
	add(everyByte(secret, "\x00%c"))
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for shift := range 3 {
			core := base64Core(enc, secret, shift)
			add(core)
			add(strings.ReplaceAll(core, "/", `\/`))
			add(url.QueryEscape(core))
		}
	}
	return out
}

// base64Core returns the characters that the encoding of any text has at the
// place of secret, when secret starts shift bytes after a multiple of three.
// The characters at either end that also depend on the neighbours are left out.
func base64Core(enc *base64.Encoding, secret string, shift int) string {
	padded := strings.Repeat("\x00", shift) + secret
	text := enc.EncodeToString([]byte(padded))
	from := (shift*8 + 5) / 6 // first character made of bits of secret alone
	to := len(padded) * 8 / 6 // characters after this one hold bits of what follows
	if from >= to {
		return ""
	}
	return text[from:to]
}

func jsonForms(secret string) []string {
	plain, err := json.Marshal(secret)
	if err != nil {
		return nil
	}
	quoted := string(plain[1 : len(plain)-1])
	var loose strings.Builder
	enc := json.NewEncoder(&loose)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(secret); err != nil {
		return nil
	}
	unescaped := strings.TrimSuffix(loose.String(), "\n")
	unescaped = unescaped[1 : len(unescaped)-1]
	return []string{
		quoted,
		unescaped,
		strings.ReplaceAll(unescaped, "/", `\/`),
		everyByte(secret, `\u%04x`),
		everyByte(secret, `\u%04X`),
		everyByte(secret, `\x%02x`),
		everyByte(secret, `&#%d;`),
		everyByte(secret, `&#x%x;`),
	}
}

func everyByte(s, format string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, format, s[i])
	}
	return b.String()
}

// lowerEscapes turns %2F into %2f and leaves the rest alone.
func lowerEscapes(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i:], strings.ToLower(string(b[i:i+3])))
		}
	}
	return string(b)
}

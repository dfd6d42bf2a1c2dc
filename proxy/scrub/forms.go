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

// forms returns secret as servers may write it: raw, percent-encoded, escaped for JSON,
// HTML and source code, hexadecimal, in UTF-16, and base64 in both alphabets at each of
// the alignments that it can have inside a longer encoded text. Libraries differ in which
// characters they escape, so there are several of a kind. Duplicates are left out.
func forms(secret string) []string {
	seen := map[string]bool{}
	var out []string
	add := func(all ...string) {
		for _, s := range all {
			if s != "" && !seen[s] {
				seen[s] = true
				out = append(out, s)
			}
		}
	}
	add(secret)
	for _, s := range percentForms(secret) {
		add(s, lowerEscapes(s))
	}
	add(jsonForms(secret)...)
	add(htmlForms(secret)...)
	add(escaped(secret, every, `\x%02x`))
	add(hex.EncodeToString([]byte(secret)))
	add(strings.ToUpper(hex.EncodeToString([]byte(secret))))
	add(escaped(secret, every, "%c\x00")) // UTF-16, little endian
	add(escaped(secret, every, "\x00%c"))
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for shift := range 3 {
			core := base64Core(enc, secret, shift)
			add(core, strings.ReplaceAll(core, "/", `\/`), url.QueryEscape(core))
		}
	}
	return out
}

// percentForms are those of Go, of JavaScript's encodeURI, Python's quote and Java's
// URLEncoder, and of whoever escapes every character that is none of a name, or every one.
func percentForms(secret string) []string {
	return []string{
		url.QueryEscape(secret),
		url.PathEscape(secret),
		escaped(secret, not("-_.~!*'();,/?:@&=+$#"), "%%%02X"),
		escaped(secret, not("-_.~/"), "%%%02X"),
		escaped(secret, not("-_.*"), "%%%02X"),
		escaped(secret, not(""), "%%%02X"),
		escaped(secret, every, "%%%02X"),
	}
}

// jsonForms are those of Go, with and without its escapes for HTML, of PHP, which escapes
// the slash, of .NET, which escapes the plus, and of whoever escapes more.
func jsonForms(secret string) []string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(secret); err != nil { // a string: cannot fail
		return nil
	}
	plain := strings.TrimSuffix(b.String(), "\n")
	plain = plain[1 : len(plain)-1]
	out := []string{plain, strings.ReplaceAll(plain, "/", `\/`)}
	for _, format := range []string{`\u%04x`, `\u%04X`} {
		out = append(out,
			escaped(secret, oneOf(`<>&"\`), format),
			escaped(secret, oneOf("<>&\"\\'`+"), format),
			escaped(secret, not("-_."), format),
			escaped(secret, not(""), format),
			escaped(secret, every, format))
	}
	return out
}

// htmlForms are those of Go, of PHP and Python, of the mustache family, which escapes the slash and the
// equals sign, and of whoever escapes more, in decimal and hexadecimal.
func htmlForms(secret string) []string {
	out := []string{
		html.EscapeString(secret),
		strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#039;").Replace(secret),
		strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#x27;").Replace(secret),
		strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;", "/", "&#x2F;", "`", "&#x60;", "=", "&#x3D;").Replace(secret),
		strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#x27;", "+", "&#x2B;").Replace(secret),
	}
	for _, format := range []string{"&#%d;", "&#x%x;", "&#x%X;"} {
		out = append(out, escaped(secret, not("-_."), format), escaped(secret, not(""), format), escaped(secret, every, format))
	}
	return out
}

func every(byte) bool { return true }

func oneOf(set string) func(byte) bool {
	return func(c byte) bool { return strings.IndexByte(set, c) >= 0 }
}

// not is every character but letters, digits and those of set.
func not(set string) func(byte) bool {
	return func(c byte) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9') && strings.IndexByte(set, c) < 0
	}
}

// escaped writes the bytes of s that which tells as format has it, and the others as they
// are.
func escaped(s string, which func(byte) bool, format string) string {
	var b strings.Builder
	for i := range len(s) {
		if which(s[i]) {
			fmt.Fprintf(&b, format, s[i])
		} else {
			b.WriteByte(s[i])
		}
	}
	return b.String()
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

package dlp

import (
	"bytes"
	"mime"
	"strings"
)

// grammar is what the values of a body stand in.
type grammar uint8

const (
	noGrammar grammar = iota
	jsonGrammar
	formGrammar
	multipartGrammar
)

// grammarOf chooses by the declared type, and by the first bytes where that says
// nothing: a type can be lied about, to us as well as to the upstream. The boundary
// is that of multipart, if the type gives one.
func grammarOf(contentType string, first []byte) (grammar, string) {
	kind, params := mediaType(contentType)
	first = bytes.TrimLeft(first, "\xef\xbb\xbf \t\r\n")
	switch {
	case strings.HasPrefix(kind, "multipart/") || bytes.HasPrefix(first, []byte("--")):
		return multipartGrammar, params["boundary"]
	case strings.HasSuffix(kind, "form-urlencoded"):
		return formGrammar, ""
	case strings.Contains(kind, "json") || len(first) > 0 && (first[0] == '{' || first[0] == '['):
		return jsonGrammar, ""
	}
	return noGrammar, ""
}

func mediaType(contentType string) (string, map[string]string) {
	if !strings.Contains(contentType, ";") {
		return strings.ToLower(strings.TrimSpace(contentType)), nil
	}
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		kind, _, _ = strings.Cut(strings.ToLower(contentType), ";")
	}
	return kind, params
}

// whole reports whether a body of that type is one document that somebody sends to
// its end, and no conversation, even where its length is not declared.
func whole(contentType string) bool {
	switch kind, _ := mediaType(contentType); {
	case kind == "application/json", kind == "application/x-www-form-urlencoded", kind == "multipart/form-data":
		return true
	default:
		return strings.HasPrefix(kind, "application/vnd.") && strings.HasSuffix(kind, "+json")
	}
}

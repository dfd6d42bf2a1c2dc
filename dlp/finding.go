package dlp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"bottled/dlp/rules"
)

// Kind is the part of a request something was found in.
type Kind uint8

// The parts. The zero value is none of them.
const (
	_ Kind = iota
	Method
	Authority
	Path
	Query
	Header
	Body
	Trailer
	Message // text or binary WebSocket messages
	Control // WebSocket ping, pong and close
	Joined  // values of several parts, put together in the order of the document
)

var kindNames = [...]string{"unknown part", "method", "authority", "path", "query", "header", "body", "trailer", "message", "control frame", "joined values"}

// String returns the name of the part, such as "header".
func (k Kind) String() string {
	if int(k) >= len(kindNames) {
		return kindNames[0]
	}
	return kindNames[k]
}

// Mode is what happens when a rule matches.
type Mode uint8

// The modes. The zero value asks for the default of the rule's class.
const (
	Default Mode = iota // block for high confidence, warn for generic
	Off                 // the rule is not looked for
	Warn                // the request passes, the finding is recorded
	Redact              // the match is overwritten, by a Redactor also where it is encoded; where it cannot be, block
	Block               // the request is refused
)

// Finding says that a rule matched, and where; it holds nothing of the match.
type Finding struct {
	Rule   string
	Class  rules.Class
	Mode   Mode // what was made of it, never Default or Off
	Kind   Kind
	Name   string // of the header or trailer
	Offset int64  // bytes from the start of the part; of the encoded text if it was encoded
	Via    string // the encodings undone, outermost first, such as "base64>gzip"
	// Confirmed says that the token's own checksum holds.
	Confirmed bool
	// Fingerprint identifies the match to an operator who wants it exempted: 16 hex
	// digits of an HMAC-SHA-256 under the engine's key.
	Fingerprint string
}

// String describes the finding, fit for a log and for the agent.
func (f Finding) String() string {
	s := fmt.Sprintf("rule %q in the %v", f.Rule, f.Kind)
	if f.Name != "" {
		s += fmt.Sprintf(" %q", f.Name)
	}
	if f.Via != "" {
		s += " (" + f.Via + ")"
	}
	return s
}

// fingerprint is the same for the same match, whatever it was encoded in. That of
// a secret of the bottle is of the secret, of which any part may have been found.
func (e *Engine) fingerprint(r *rule, match []byte) string {
	h := hmac.New(sha256.New, e.key)
	h.Write([]byte(r.id))
	h.Write([]byte{0})
	if !strings.HasPrefix(r.id, secretPrefix) {
		h.Write(match)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

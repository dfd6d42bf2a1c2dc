// Package secret holds token values and fetches them from where they are kept.
//
// A [Token] is one value. Nothing that prints, logs, compares or serialises Go
// values can get at what is in it: its only content is a function. The only way
// out is [Token.Reveal], so that a search for that word finds every place in the
// program where a value leaves its wrapping.
//
// A [Source] says where a value comes from. There are two kinds of reference:
//
//   - a bare NAME is a variable in the environment of the person who launches;
//     the client resolves it with [Resolve] and hands the value over.
//   - credential:NAME, file:PATH and command:ARGV are held by the operator of the
//     host. The daemon fetches them, and only through a [Store], which says who
//     may use which. A manifest names them; it cannot define them.
//
// No error of this package holds a value or a part of one.
package secret

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// MaxSize bounds a value, in bytes. A token travels in one header line, and no
// server that is in use takes a longer one.
const MaxSize = 16 << 10

// masked is what every printer gets instead of the value.
const masked = "[secret]"

// Errors of [New]. They are wrapped by everything in this package that makes a
// token, so errors.Is works on the result of [Resolve] and [Source.Fetch].
var (
	ErrEmpty   = errors.New("will not inject an empty token")
	ErrControl = errors.New("will not inject a token with CR, LF or NUL in it")
	ErrTooLong = fmt.Errorf("will not inject a token of more than %d bytes", MaxSize)
	errMarshal = errors.New("secret: a token cannot be serialised; Reveal is the only way out")
)

// Token is a secret value. The zero Token holds none; it is never injected.
//
// The value sits behind a function and not in a field, because fmt, go-cmp and
// reflect walk into unexported fields where they cannot call methods. For the
// same reason tokens do not compare: == does not compile, and reflect.DeepEqual
// is false even for a token and itself.
//
// A Token is safe for concurrent use and cheap to copy.
type Token struct {
	reveal func() string
}

// New wraps a copy of b. It refuses what can never be a header value: nothing at
// all, CR, LF or NUL (RFC 9110, section 5.5), and more than [MaxSize] bytes.
func New(b []byte) (Token, error) {
	switch {
	case len(b) == 0:
		return Token{}, ErrEmpty
	case len(b) > MaxSize:
		return Token{}, ErrTooLong
	case bytes.ContainsAny(b, "\r\n\x00"):
		return Token{}, ErrControl
	}
	value := string(b)
	return Token{reveal: func() string { return value }}, nil
}

// Reveal returns the value, or "" for the zero Token.
func (t Token) Reveal() string {
	if t.reveal == nil {
		return ""
	}
	return t.reveal()
}

// IsZero reports whether t holds no value.
func (t Token) IsZero() bool { return t.reveal == nil }

// Format implements [fmt.Formatter]: every verb prints the same mask.
func (Token) Format(f fmt.State, _ rune) { io.WriteString(f, masked) }

// String implements [fmt.Stringer].
func (Token) String() string { return masked }

// GoString implements [fmt.GoStringer].
func (Token) GoString() string { return masked }

// LogValue implements [slog.LogValuer].
func (Token) LogValue() slog.Value { return slog.StringValue(masked) }

// MarshalText refuses. So do the other marshallers: a token that is on its way
// into a file is a mistake of the program, and a mask in its place would be read
// back as a value.
func (Token) MarshalText() ([]byte, error) { return nil, errMarshal }

// MarshalJSON refuses, like [Token.MarshalText].
func (Token) MarshalJSON() ([]byte, error) { return nil, errMarshal }

// MarshalYAML refuses, like [Token.MarshalText].
func (Token) MarshalYAML() (any, error) { return nil, errMarshal }

// MarshalBinary refuses, like [Token.MarshalText].
func (Token) MarshalBinary() ([]byte, error) { return nil, errMarshal }

// GobEncode refuses, like [Token.MarshalText].
func (Token) GobEncode() ([]byte, error) { return nil, errMarshal }

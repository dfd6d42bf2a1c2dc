package secret

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// A Source is a place a token is kept.
//
// Fetch reads it, each time anew unless the type says that it caches. An error
// names the source and never holds a value. Sources are safe for concurrent use.
type Source interface {
	Fetch(ctx context.Context) (Token, error)
}

// IsHeld reports whether ref names a secret that the operator holds, and not a
// variable of the caller's environment.
func IsHeld(ref string) bool { return strings.Contains(ref, ":") }

// Parse reads the reference of an operator-held secret: credential:NAME,
// file:PATH or command:ARGV. It is for the operator's own configuration: a
// reference that arrives in a manifest is looked up with [Store.Fetch] instead,
// or whoever writes the manifest could have root run a command of theirs.
func Parse(ref string) (Source, error) {
	kind, rest, ok := strings.Cut(ref, ":")
	if !ok {
		return nil, fmt.Errorf("secret %q: write credential:NAME, file:PATH or command:ARGV", ref)
	}
	var src Source
	var err error
	switch kind {
	case "credential":
		src, err = newCredential(rest)
	case "file":
		src, err = newFile(rest)
	case "command":
		src, err = newCommand(strings.Fields(rest))
	default:
		err = errors.New("unknown kind; write credential:NAME, file:PATH or command:ARGV")
	}
	if err != nil {
		return nil, fmt.Errorf("secret %q: %w", ref, err)
	}
	return src, nil
}

// parseValue makes a token of what a file or a command gave: one line, with or without its
// line ending.
func parseValue(b []byte) (Token, error) {
	n := len(b)
	if n > 0 && b[n-1] == '\n' {
		n--
		if n > 0 && b[n-1] == '\r' {
			n--
		}
	}
	return New(b[:n])
}

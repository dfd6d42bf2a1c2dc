package routes

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// TokenKind is where a token comes from. The zero TokenKind is nowhere.
type TokenKind uint8

// The sources of a token.
const (
	TokenEnv        TokenKind = iota + 1 // a variable in the environment of the caller
	TokenCredential                      // a systemd credential of the daemon (LoadCredential=)
	TokenFile                            // a file that only root can read
	TokenCommand                         // the output of a program of the operator
)

// A TokenRef names a token without holding it. It is comparable with ==; the zero
// TokenRef names none. Nothing here resolves it.
type TokenRef struct {
	Kind  TokenKind
	Value string // variable, credential name, absolute path, or command line
}

var tokenPrefixes = map[TokenKind]string{TokenCredential: "credential:", TokenFile: "file:", TokenCommand: "command:"}

// String returns the reference as [ParseTokenRef] takes it.
func (t TokenRef) String() string { return tokenPrefixes[t.Kind] + t.Value }

// IsZero reports whether t names no token.
func (t TokenRef) IsZero() bool { return t.Kind == 0 }

// secretPrefixes begin the tokens that people paste where a name belongs.
var secretPrefixes = []string{"ghp_", "gho_", "ghs_", "ghu_", "github_pat_", "glpat-", "sk-", "sk_live_", "xoxb-", "xoxp-", "npm_", "pypi-", "hf_", "AKIA", "eyJ"}

// ParseTokenRef parses the token_ref of a route: the name of a variable, or
// credential:NAME, file:PATH, command:COMMAND. Its errors never show the input,
// which may be a token in the wrong place.
func ParseTokenRef(s string) (TokenRef, error) {
	for _, p := range secretPrefixes {
		if strings.HasPrefix(s, p) && len(s) >= len(p)+12 {
			return TokenRef{}, fmt.Errorf("this looks like a token itself (%s...): put it in a variable, write the variable's name here, and replace the token if this file was shared", p)
		}
	}
	for kind, prefix := range tokenPrefixes {
		if value, ok := strings.CutPrefix(s, prefix); ok {
			return TokenRef{Kind: kind, Value: value}, checkTokenValue(kind, value)
		}
	}
	if !isEnvName(s) {
		return TokenRef{}, errors.New("this is not the name of a variable such as GH_PAT, nor credential:NAME, file:/PATH or command:/PROGRAM (the value is not shown, in case it is a token)")
	}
	return TokenRef{Kind: TokenEnv, Value: s}, nil
}

func checkTokenValue(kind TokenKind, value string) error {
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) || len(value) > 4096 {
		return errors.New("this holds a control character or is over 4096 bytes long")
	}
	switch kind {
	case TokenCredential:
		if value == "" || value == "." || value == ".." || strings.Contains(value, "/") || len(value) > 255 {
			return errors.New("credential: takes the name of a systemd credential, which is a file name: write credential:NAME")
		}
	case TokenFile:
		if !path.IsAbs(value) || path.Clean(value) != value || value == "/" {
			return errors.New("file: takes an absolute path without . and .. in it: write file:/etc/bottled/tokens/NAME")
		}
	case TokenCommand:
		if program, _, _ := strings.Cut(value, " "); !path.IsAbs(program) || path.Clean(program) != program || program == "/" {
			return errors.New("command: takes a program by its absolute path, and its arguments: write command:/usr/bin/PROGRAM ARGUMENT")
		}
	}
	return nil
}

// isEnvName reports whether s is a name that POSIX shells can set.
func isEnvName(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isLower(c) && !isUpper(c) && c != '_' && (i == 0 || !isDigit(c)) {
			return false
		}
	}
	return s != "" && len(s) <= 255
}

package client

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// checkCommand refuses what would arrive as something else. encoding/json puts U+FFFD in
// the place of a byte that is not UTF-8 (RFC 8259, section 8.1), while arguments, paths
// and variables may be of any bytes but NUL. Values of variables are not shown.
func checkCommand(command []string, dir string, env []string) error {
	for _, a := range command {
		if !utf8.ValidString(a) {
			return fmt.Errorf("argument %q is not UTF-8, which the daemon cannot be told: have the command read it from a file or its input", a)
		}
	}
	if !utf8.ValidString(dir) {
		return fmt.Errorf("working directory %q is not UTF-8, which the daemon cannot be told: begin in another one", dir)
	}
	for _, kv := range env {
		if !utf8.ValidString(kv) {
			name, _, _ := strings.Cut(kv, "=")
			return fmt.Errorf("variable %q is not UTF-8, which the daemon cannot be told: leave it out", name)
		}
	}
	return nil
}

// checkTokens is checkCommand for tokens.
func checkTokens(tokens map[string]string) error {
	for ref, value := range tokens {
		if !utf8.ValidString(value) {
			return fmt.Errorf("the value of token_ref %q is not UTF-8, which the daemon cannot be told: is it the right one?", ref)
		}
	}
	return nil
}

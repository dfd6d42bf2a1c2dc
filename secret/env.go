package secret

import "fmt"

// Resolve reads the variable that token_ref names from the environment of the person who
// launches a bottle, by a function like [os.LookupEnv]. Only the client does: the daemon
// has an environment of its own. A variable that is unset or empty is an error that says
// so and what to do about it.
func Resolve(name string, lookup func(name string) (value string, ok bool)) (Token, error) {
	if !validName(name) {
		return Token{}, fmt.Errorf("token_ref %q: not the name of an environment variable (letters, digits and _, at most %d bytes)", name, maxName)
	}
	value, ok := lookup(name)
	if !ok {
		return Token{}, fmt.Errorf("token_ref %s: the environment variable %s is not set; set it or remove the auth block", name, name)
	}
	t, err := New([]byte(value))
	if err != nil {
		return Token{}, fmt.Errorf("token_ref %s: %w; set the environment variable %s or remove the auth block", name, err, name)
	}
	return t, nil
}

// maxName bounds the name of a variable or credential, in bytes (NAME_MAX, which
// is what systemd holds credential names to).
const maxName = 255

// validName reports whether s can name an environment variable (POSIX.1-2024,
// 8.1, with lower case letters as every shell has it).
func validName(s string) bool {
	if s == "" || len(s) > maxName || '0' <= s[0] && s[0] <= '9' {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case c == '_', '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		default:
			return false
		}
	}
	return true
}

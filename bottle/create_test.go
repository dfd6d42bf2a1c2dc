package bottle

import (
	"errors"
	"strings"
	"testing"

	"bottled/secret"
)

const authManifest = `version: 1
defaults: false
egress_proxy:
  routes:
    - host: api.example.com
      auth: {scheme: Bearer, token_ref: API_TOKEN}
`

func token(t *testing.T, value string) secret.Token {
	t.Helper()
	made, err := secret.New([]byte(value))
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestRefusesBeforeAnythingChanges(t *testing.T) {
	m := newManager(t)
	command := []string{"true"}
	for _, c := range []struct {
		name string
		o    CreateOptions
		kind error
		say  string
	}{
		{"no command", CreateOptions{}, ErrInvalid, "no command"},
		{"bad name", CreateOptions{Command: command, Name: "../up"}, ErrInvalid, `"../up"`},
		{"relative directory", CreateOptions{Command: command, Dir: "here"}, ErrInvalid, `"here"`},
		{"bad manifest", CreateOptions{Command: command, Manifest: []byte("egress: {}\n")}, ErrInvalid, "version"},
		{"missing token", CreateOptions{Command: command, Manifest: []byte(authManifest)}, ErrInvalid, "set the variable API_TOKEN"},
		{"root", CreateOptions{Command: command, User: &Identity{}}, ErrInvalid, "uid 0"},
		{"no such program", CreateOptions{Command: []string{"no-such-program"}}, ErrNoCommand, "no-such-program"},
		{"not a program", CreateOptions{Command: []string{"/etc/passwd"}}, ErrNotExecutable, "/etc/passwd"},
		{"token in the environment", CreateOptions{
			Command: command, Manifest: []byte(authManifest), Env: []string{"LEAK=x-t0ken-y"},
			Tokens: map[string]secret.Token{"API_TOKEN": token(t, "t0ken")},
		}, ErrInvalid, "LEAK"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := run(t, m, c.o)
			if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.say) {
				t.Errorf("got %v; want %v that says %s", err, c.kind, c.say)
			}
			if err != nil && strings.Contains(err.Error(), "t0ken") {
				t.Error("the error holds the token")
			}
			nothingLeft(t, m)
		})
	}
}

func TestOnlyRootChoosesTheUser(t *testing.T) {
	m := newManager(t)
	_, err := m.Create(t.Context(), Caller{UID: 1000, GID: 1000}, CreateOptions{
		Command: []string{"true"}, Dir: "/", Manifest: []byte("version: 1\n"), User: &someone,
	})
	if !errors.Is(err, ErrForbidden) {
		t.Errorf("got %v", err)
	}
}

func TestANameIsTakenOnce(t *testing.T) {
	m := newManager(t)
	first := start1(t, m, "twin")
	if _, err := run(t, m, CreateOptions{Name: "twin", Command: []string{"true"}}); !errors.Is(err, ErrConflict) {
		t.Errorf("the second: %v", err)
	}
	if i, err := m.find(root, "twin"); err != nil || i.record.ID != first.ID || i.Info().State != Running {
		t.Errorf("the first was touched: %v", err)
	}
}

// start1 starts a bottle that sleeps and stops it at the end of the test.
func start1(t *testing.T, m *Manager, name string) Info {
	t.Helper()
	info, err := m.Create(t.Context(), root, CreateOptions{
		Name: name, Command: []string{"sleep", "1000"}, Dir: workDir(t), User: &someone,
		Manifest: []byte("version: 1\ndefaults: false\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Stop(t.Context(), root, info.ID, 0); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	return info
}

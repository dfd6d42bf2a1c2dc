package bottle

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"bottled/policy"
	"bottled/secret"
)

// someUser is someone who calls, and stranger somebody else.
var (
	someUser = Caller{UID: someone.UID, GID: someone.GID, PID: os.Getpid()}
	stranger = Caller{UID: 31338, GID: 31338, PID: os.Getpid()}
)

// floor makes a policy.
func floor(t *testing.T, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse("policy.yaml", []byte("version: 1\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// sleeper makes a bottle of the caller's that sleeps.
func sleeper(t *testing.T, m *Manager, c Caller, name, manifest string) (Info, error) {
	t.Helper()
	info, err := m.Create(t.Context(), c, CreateOptions{
		Name: name, Command: []string{"sleep", "1000"}, Dir: workDir(t), Manifest: []byte(manifest),
	})
	if err == nil {
		t.Cleanup(func() { _ = m.Stop(context.Background(), root, info.ID, 0) })
	}
	return info, err
}

func only(hosts string) string {
	return "version: 1\ndefaults: false\negress: {allowlist: [" + hosts + "]}\n"
}

func TestTheFloorHoldsAtTheLaunchAndAtAnUpdate(t *testing.T) {
	m := newManager(t, func(o *Options) { o.Policy = floor(t, "hosts: {never: [db.example.com]}\n") })
	if _, err := sleeper(t, m, someUser, "", only(`"*.example.com"`)); !errors.Is(err, ErrForbidden) || !strings.Contains(err.Error(), "policy.yaml:2: hosts.never[0]: db.example.com") {
		t.Errorf("launch: %v", err)
	}
	nothingLeft(t, m)
	info, err := sleeper(t, m, someUser, "", only("web.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []Caller{someUser, root} {
		if _, _, err := m.UpdateRoutes(t.Context(), c, info.ID, "m", []byte(only("db.example.com")), nil, nil); !errors.Is(err, ErrForbidden) {
			t.Errorf("update by uid %d: %v", c.UID, err)
		}
	}
	d, err := m.Inspect(t.Context(), someUser, info.ID)
	if err != nil || d.Generation != 1 || strings.Contains(string(d.Allowlist), "db.example.com") {
		t.Errorf("a refused update changed something: %v, generation %d, %s", err, d.Generation, d.Allowlist)
	}
	if generation, _, err := m.UpdateRoutes(t.Context(), someUser, info.ID, "m", []byte(only("web2.example.com")), nil, nil); err != nil || generation != 2 {
		t.Errorf("the control: %d, %v", generation, err)
	}
	m.SetPolicy(floor(t, "launch: {users: []}\n"))
	if _, _, err := m.UpdateRoutes(t.Context(), someUser, info.ID, "m", []byte(only("web.example.com")), nil, nil); !errors.Is(err, ErrForbidden) {
		t.Errorf("update by who may no longer launch: %v", err)
	}
	m.SetPolicy(nil)
	if _, err := sleeper(t, m, root, "", only("web.example.com")); !errors.Is(err, ErrForbidden) {
		t.Errorf("without a policy: %v", err)
	}
}

func TestLimitsOfUsers(t *testing.T) {
	m := newManager(t, func(o *Options) {
		o.Policy = floor(t, "limits: {bottles: 1, total: 3, users: {\"31338\": 0}}\n")
	})
	if _, err := sleeper(t, m, stranger, "", only("a.example.com")); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a limit of 0: %v", err)
	}
	if _, err := sleeper(t, m, someUser, "one", only("a.example.com")); err != nil {
		t.Fatal(err)
	}
	if _, err := sleeper(t, m, someUser, "two", only("a.example.com")); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "at most 3 and 1 may") {
		t.Errorf("a second of 1: %v", err)
	}
	for _, name := range []string{"two", "three"} { // root has no limit of its own
		if _, err := sleeper(t, m, root, name, only("a.example.com")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := sleeper(t, m, root, "four", only("a.example.com")); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a fourth of 3: %v", err)
	}
}

// TestTheFileOfAnAuthorityIsThatOfTheLaunch: what a path in the manifest led to is
// settled at the launch, as the path is.
func TestTheFileOfAnAuthorityIsThatOfTheLaunch(t *testing.T) {
	m := newManager(t)
	first, second := authorityPEM(t), authorityPEM(t)
	manifest := only("a.example.com") + "upstream_ca: ca.pem\n"
	create := func(files map[string][]byte) (Info, error) {
		return m.Create(t.Context(), someUser, CreateOptions{
			Command: []string{"sleep", "1000"}, Dir: workDir(t), Manifest: []byte(manifest), Files: files,
		})
	}
	if _, err := create(nil); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), `"ca.pem"`) {
		t.Errorf("not sent: %v", err)
	}
	info, err := create(map[string][]byte{"ca.pem": first})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Stop(t.Context(), root, info.ID, 0)
	for name, c := range map[string]struct {
		files map[string][]byte
		want  error
	}{
		"not sent": {nil, ErrInvalid},
		"another":  {map[string][]byte{"ca.pem": second}, ErrConflict},
		"the same": {map[string][]byte{"ca.pem": first}, nil},
	} {
		_, _, err := m.UpdateRoutes(t.Context(), someUser, info.ID, "m", []byte(manifest), c.files, nil)
		if !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAValueForATokenOfTheOperatorIsRefused(t *testing.T) {
	m := newManager(t)
	tokens := map[string]secret.Token{"file:/run/t": token(t, "mine")}
	_, err := m.Create(t.Context(), someUser, CreateOptions{Command: []string{"true"}, Dir: "/", Manifest: []byte(only("a.example.com")), Tokens: tokens})
	if !errors.Is(err, ErrInvalid) {
		t.Errorf("launch: %v", err)
	}
	info := start1(t, m, "b")
	if _, _, err := m.UpdateRoutes(t.Context(), root, info.ID, "m", []byte(only("a.example.com")), nil, tokens); !errors.Is(err, ErrInvalid) {
		t.Errorf("update: %v", err)
	}
}

package scenario

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bottled/api"
)

// Numbers that the host has given to nobody.
const (
	alice, bob, mallory = 31337, 31338, 31339
	members             = 31340 // the gid of "bottled" in these tests
)

// as runs the command line as a user of the host.
func (d *daemon) as(t *testing.T, uid uint32, groups []uint32, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program("bottled"), args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=/nonexistent", "BOTTLED_SOCKET=" + d.socket, "API_TOKEN=" + token}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid, Groups: groups}}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal("it does not start")
	}
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// TestUsersHaveTheirOwnBottles: a member of the group needs no sudo, and meets
// nobody else's bottles.
func TestUsersHaveTheirOwnBottles(t *testing.T) {
	// The group is in the daemon's view of the host alone.
	group, err := os.ReadFile("/etc/group")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(publicDir(t), "group")
	kept := ""
	for line := range strings.Lines(string(group)) {
		if !strings.HasPrefix(line, api.Group+":") {
			kept += line
		}
	}
	if err := os.WriteFile(file, fmt.Appendf(nil, "%s%s:x:%d:\n", kept, api.Group, members), 0o644); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, "unshare", "-m", "--propagation", "private", "sh", "-c", `mount --bind "$0" /etc/group && exec "$@"`, file)
	up := w.https(t, "api.example.com", greet)
	in := []uint32{members}
	home := func(uid int) string {
		dir := workDir(t, map[string]string{"bottle.yaml": w.manifest(apiRoute)})
		if err := os.Chown(dir, uid, uid); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	mine := home(alice)
	r := w.as(t, alice, in, "run", "--dir", mine, "--manifest", mine+"/bottle.yaml", "--", "sh", "-c", "id -u; id -G; echo made >file; env; curl -sS https://api.example.com/user")
	if !r.ok(greeting) || !strings.HasPrefix(r.stdout, fmt.Sprintf("%d\n%[1]d\n", alice)) || strings.Contains(r.stdout, token) {
		t.Errorf("%v", r)
	}
	if len(up.Requests()) != 1 || up.Requests()[0].Header.Get("Authorization") != "Bearer "+token {
		t.Errorf("the upstream got %+v", up.Requests())
	}
	if st, err := os.Stat(mine + "/file"); err != nil || st.Sys().(*syscall.Stat_t).Uid != alice {
		t.Errorf("what the bottle made: %+v, %v", st, err)
	}

	if r := w.as(t, alice, in, "run", "--detach", "--name", "hers", "--dir", mine, "--", "sleep", "1000"); r.code != 0 {
		t.Fatalf("detached: %v", r)
	}
	list := func(uid uint32) (names []string) {
		r := w.as(t, uid, in, "ls", "--json")
		var bottles []api.Bottle
		if err := json.Unmarshal([]byte(r.stdout), &bottles); err != nil {
			t.Errorf("%v: %v", err, r)
		}
		for _, b := range bottles {
			names = append(names, b.Name)
		}
		return names
	}
	if got := list(alice); len(got) != 1 || got[0] != "hers" {
		t.Errorf("alice sees %q", got)
	}
	if got := list(bob); len(got) != 0 {
		t.Errorf("bob sees %q", got)
	}
	id := w.list(t)[0].ID
	for _, ref := range []string{"hers", id} {
		for _, args := range [][]string{{"inspect", ref}, {"exec", ref, "--", "true"}, {"routes", "show", "--bottle", ref}} {
			if r := w.as(t, bob, in, args...); r.code == 0 || !strings.Contains(r.stderr, "no bottle") {
				t.Errorf("bob: %q: %v", args, r)
			}
			if r := w.as(t, alice, in, args...); r.code != 0 {
				t.Errorf("control: alice: %q: %v", args, r)
			}
		}
		w.as(t, bob, in, "stop", ref) // of what is not there for bob
	}
	if got := list(alice); len(got) != 1 {
		t.Errorf("bob stopped it: alice sees %q", got)
	}
	theirs := home(bob)
	if r := w.as(t, bob, in, "run", "--name", "hers", "--dir", theirs, "--", "true"); r.code != 0 {
		t.Errorf("bob may use the name too: %v", r)
	}
	if r := w.as(t, bob, in, "run", "--dir", mine, "--", "touch", "bobs"); r.code == 0 {
		t.Errorf("bob writes where only alice may: %v", r)
	}
	if r := w.as(t, bob, in, "run", "--user", "daemon", "--dir", theirs, "--", "id"); r.code == 0 {
		t.Errorf("bob runs as another: %v", r)
	}
	if r := w.as(t, mallory, nil, "ls"); r.code == 0 || !strings.Contains(r.stderr, api.Group) {
		t.Errorf("no member of the group: %v", r)
	}
	if r := w.as(t, alice, in, "stop", "--grace", "0", "hers"); r.code != 0 || len(w.list(t)) != 0 {
		t.Errorf("alice stops hers: %v", r)
	}
}

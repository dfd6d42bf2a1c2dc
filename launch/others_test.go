package launch

import (
	"fmt"
	"os"
	account "os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMappedHome: root's own home is no working directory, and in a part of it root's
// credentials are as hidden as those of a user are.
func TestMappedHome(t *testing.T) {
	h := newHost(t)
	me, err := account.LookupId("0")
	must(t, err)
	start := func(dir string) error {
		s := h.spec("true")
		s.Dir, s.MapDir = dir, true
		p, err := startBottle(t.Context(), s, h.netns, h.cgroup, [3]*os.File{}, nil)
		if err == nil {
			p.Kill()
			p.Wait()
			p.Close()
		}
		return err
	}
	if err := start(me.HomeDir); err == nil || !strings.Contains(err.Error(), "home directory") {
		t.Errorf("in %s: %v", me.HomeDir, err)
	}
	dir := filepath.Join(filepath.Dir(h.home), "roots")
	must(t, os.Mkdir(dir, 0o755))
	if err := start(dir); err != nil {
		t.Errorf("the control: in %s: %v", dir, err)
	}
	ssh := filepath.Join(me.HomeDir, ".ssh")
	if err := os.Mkdir(ssh, 0o700); err == nil {
		defer os.Remove(ssh)
	}
	if err := start(ssh); err == nil || !strings.Contains(err.Error(), "hidden") {
		t.Errorf("in %s: %v", ssh, err)
	}
}

// TestForeignFUSE: a file system that a user serves is not looked into on behalf of
// another, whether it never answers, answers everybody, or covers another one.
func TestForeignFUSE(t *testing.T) {
	for _, options := range []string{"", ",allow_other"} {
		h := newHost(t)
		outer := filepath.Join(filepath.Dir(h.home), "fuse")
		inner := filepath.Join(outer, "inner")
		must(t, os.MkdirAll(inner, 0o755))
		for _, point := range []string{inner, outer} {
			fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
			must(t, err)
			must(t, unix.Mount("test", point, "fuse.test", 0, fmt.Sprintf("fd=%d,rootmode=40000,user_id=4321,group_id=4321%s", fd, options)))
			t.Cleanup(func() {
				must(t, unix.Unmount(point, unix.MNT_DETACH))
				unix.Close(fd)
			})
		}
		if got := h.sh(t, "echo started; ls "+outer); got != "started\ninner" {
			t.Errorf("with %q: %q", options, got)
		}
	}
}

// TestLateCredentialsAreHidden: what a program of the host writes while the bottle
// runs is not seen either, in a directory that was not there before.
func TestLateCredentialsAreHidden(t *testing.T) {
	h := newHost(t)
	paths := []string{".config/gh/hosts.yml", ".local/share/keyrings/login.keyring", ".netrc", ".cargo/credentials.toml", "seen/control"}
	s := h.spec("sh", "-c", "touch up; while ! test -e go; do sleep 0.01; done; cd && cat "+strings.Join(paths, " ")+"; mkdir -p ~/.config/gh && echo mine > ~/.config/gh/hosts.yml && cat ~/.config/gh/hosts.yml")
	out := make(chan string, 1)
	go func() { text, _ := h.run(t, s); out <- text }()
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(h.dir, "up")); err == nil {
			break
		} else if time.Now().After(end) {
			t.Fatal("the bottle does not start")
		}
	}
	for _, p := range paths {
		must(t, os.MkdirAll(filepath.Join(h.home, filepath.Dir(p)), 0o755))
		must(t, os.WriteFile(filepath.Join(h.home, p), []byte("late "+p+"\n"), 0o644))
	}
	must(t, os.WriteFile(filepath.Join(h.dir, "go"), nil, 0o644))
	got := <-out
	if !strings.Contains(got, "late seen/control") || !strings.HasSuffix(got, "mine\n") || strings.Count(got, "late ") != 1 {
		t.Errorf("the bottle saw:\n%s", got)
	}
}

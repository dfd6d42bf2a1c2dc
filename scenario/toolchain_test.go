package scenario

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// toolchains are programs that live where a bottle's user cannot pass, such as in
// root's home, at places where it can. The host does not change: the daemon has a
// mount namespace of its own, in which they are bound below /srv.
type toolchains map[string]string // directory of the host by name below /srv

// wrap is the command that starts a daemon with them.
func (c toolchains) wrap() []string {
	script := "set -e; mount -t tmpfs -o mode=755 tmpfs /srv\n"
	for name, dir := range c {
		script += fmt.Sprintf("mkdir /srv/%s; mount --bind '%s' /srv/%[1]s\n", name, dir)
	}
	return []string{"unshare", "-m", "--propagation", "private", "sh", "-c", script + `exec "$@"`, "sh"}
}

// path is the search path in a bottle.
func (c toolchains) path() string {
	path := ""
	for name := range c {
		path += "/srv/" + name + "/bin:"
	}
	return path + goBin() + ":/usr/local/bin:/usr/bin:/bin"
}

// flags for `bottled run`, under which the programs are found.
func (c toolchains) flags() []string { return []string{"--env", "PATH=" + c.path()} }

// rust is the toolchain behind rustup's stand-ins, or the distribution's.
func (c toolchains) rust(t *testing.T) toolchains {
	t.Helper()
	root := strings.TrimSpace(output(t, "rustc", "--print", "sysroot"))
	if root != "/usr" {
		c["rust"] = root
	}
	return c
}

// packages are installed with pip from the registry once and kept in the user's cache.
func (c toolchains) packages(t *testing.T, names ...string) toolchains {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "bottled-scenario", strings.Join(names, "-"))
	if _, err := os.Stat(dir); err != nil {
		fresh := dir + ".new"
		if err := os.RemoveAll(fresh); err != nil {
			t.Fatal(err)
		}
		output(t, "/usr/bin/python3", append([]string{"-m", "pip", "install", "-q", "--no-cache-dir", "--target", fresh}, names...)...)
		if err := os.Rename(fresh, dir); err != nil {
			t.Fatal(err)
		}
	}
	c["packages"] = dir
	return c
}

func goBin() string {
	dir := "/usr/local/go/bin"
	if name, err := exec.LookPath("go"); err == nil {
		if name, err = filepath.EvalSymlinks(name); err == nil {
			dir = filepath.Dir(name)
		}
	}
	return dir
}

// output runs a program of the host's, in the environment that it is set up in.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = "/"
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v: %s", name, args, err, stderrOf(err))
	}
	return string(text)
}

func stderrOf(err error) []byte {
	if e, ok := err.(*exec.ExitError); ok {
		return e.Stderr
	}
	return nil
}

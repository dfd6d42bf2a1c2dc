package service

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tester is a member of the group bottled in every box; stranger is not.
const (
	tester   = "tester"
	stranger = "stranger"
)

// box is a machine of its own with a systemd as PID 1.
type box struct {
	name   string
	script string
}

// newBox boots a box in which bottled is installed, and powers it off at the end.
func newBox(t *testing.T) *box {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(t.TempDir(), "bottled")
	build := exec.Command("go", "build", "-o", bin, "./cmd/bottled")
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	b := &box{name: fmt.Sprintf("bottled-%d", os.Getpid()), script: filepath.Join(root, "scripts/sysdbox")}
	up := exec.Command(b.script, "up", b.name, "/")
	up.Env = append(os.Environ(), "UNIT=basic.target", "SYSDBOX_DIR="+t.TempDir(), "PREP="+fmt.Sprintf(`
		install -D %q usr/local/bin/bottled; ln -s /usr/local/bin/bottled usr/bin/
		cp %q/scripts/bottled.service %q/scripts/bottled.socket etc/systemd/system/
		echo '%s:x:30001:30001::/home/%[4]s:/bin/bash' >> etc/passwd
		echo '%s:x:30002:30002::/home/%[5]s:/bin/bash' >> etc/passwd
		printf '%[4]s:x:30001:\n%[5]s:x:30002:\nbottled:x:30000:%[4]s\n' >> etc/group
		mkdir home/%[4]s home/%[5]s; chown 30001:30001 home/%[4]s; chown 30002:30002 home/%[5]s
	`, bin, root, root, tester, stranger))
	dir := up.Env[len(up.Env)-2]
	t.Setenv("SYSDBOX_DIR", strings.TrimPrefix(dir, "SYSDBOX_DIR="))
	if out, err := up.CombinedOutput(); err != nil {
		t.Fatalf("boot: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(b.try("journalctl", "-u", "bottled", "--no-pager", "-n", "60"))
		}
		if out, err := exec.Command(b.script, "down", b.name).CombinedOutput(); err != nil {
			t.Errorf("power off: %v\n%s", err, out)
		}
	})
	return b
}

// try runs a command as root in the box and returns what it printed, also where it
// failed.
func (b *box) try(argv ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.script, append([]string{"run", b.name}, argv...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return strings.TrimSpace(out.String()), err
}

// run runs a command as root in the box; its failure is the test's.
func (b *box) run(t *testing.T, argv ...string) string {
	t.Helper()
	out, err := b.try(argv...)
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
	return out
}

// as is the command line that runs a shell script as a user of the box, at home.
func as(user, script string) []string {
	return []string{"runuser", "-u", user, "--", "bash", "-c", "cd ~ && " + script}
}

// until waits for a condition that another process brings about.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

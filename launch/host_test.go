package launch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bottled/launch/thread"

	"golang.org/x/sys/unix"
)

const noSleep = "GORACE=atexit_sleep_ms=0"

// The user of the bottles in tests: nobody whom the host knows.
const testUID = 54321

func TestMain(m *testing.M) {
	// The race detector sleeps for a second at every exit otherwise.
	initEnv = append(initEnv, noSleep)
	if name := os.Getenv("BOTTLED_PROBE"); name != "" {
		os.Exit(probe(name, os.Args[1:]))
	}
	os.Exit(m.Run())
}

// host is what a bottle is made of: a namespace with loopback, a group, a home
// and a project directory that its user owns.
type host struct {
	netns, cgroup    int
	home, dir, probe string
	cgroupPath       string
	uid              uint32
}

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{netns: newNetns(t), uid: testUID}
	h.cgroupPath = filepath.Join(cgroupBase(t), fmt.Sprintf("bottled-launch-test-%d-%s", os.Getpid(), filepath.Base(t.TempDir())+strings.ReplaceAll(t.Name(), "/", "-")))
	must(t, os.Mkdir(h.cgroupPath, 0o755))
	t.Cleanup(func() { removeGroup(t, h.cgroupPath) })
	fd, err := unix.Open(h.cgroupPath, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	must(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	h.cgroup = fd

	base, err := os.MkdirTemp("/var/lib", "bottled-launch-test-") // not below /tmp, which the bottle has for itself
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(base) })
	must(t, os.Chmod(base, 0o755))
	h.home, h.dir = filepath.Join(base, "home"), filepath.Join(base, "home/project")
	h.mkdir(t, h.home)
	h.mkdir(t, h.dir)
	exe, err := os.ReadFile("/proc/self/exe")
	must(t, err)
	h.probe = filepath.Join(base, "probe")
	must(t, os.WriteFile(h.probe, exe, 0o755))
	return h
}

func (h *host) mkdir(t *testing.T, path string) {
	t.Helper()
	must(t, os.MkdirAll(path, 0o755))
	must(t, os.Chown(path, int(h.uid), int(h.uid)))
}

func (h *host) write(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(text), 0o600))
	must(t, os.Chown(path, int(h.uid), int(h.uid)))
}

func (h *host) spec(argv ...string) Spec {
	return Spec{
		UID: h.uid, GID: h.uid, Home: h.home, Dir: h.dir, Argv: argv, Hostname: "bottle-test",
		Env: []string{"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME=" + h.home, "USER=bottle"},
	}
}

// run runs the command to its end and returns what it wrote to both outputs.
func (h *host) run(t *testing.T, s Spec) (string, Exit) {
	t.Helper()
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	p, err := startBottle(t.Context(), s, h.netns, h.cgroup, [3]*os.File{nil, w, w}, nil)
	w.Close()
	must(t, err)
	defer p.Close()
	var out bytes.Buffer
	_, err = out.ReadFrom(r)
	must(t, err)
	exit, err := p.Wait()
	must(t, err)
	return out.String(), exit
}

// sh runs a script in a bottle made by the spec of h, changed by the options, and fails on an error.
func (h *host) sh(t *testing.T, script string, options ...func(*Spec)) string {
	t.Helper()
	s := h.spec("sh", "-c", script)
	for _, o := range options {
		o(&s)
	}
	out, exit := h.run(t, s)
	if exit.Status() != 0 {
		t.Fatalf("%s: %v\n%s", script, exit, out)
	}
	return strings.TrimSpace(out)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newNetns(t *testing.T) int {
	t.Helper()
	fd := -1
	must(t, thread.Run(func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		if err := loopbackUp(); err != nil {
			return err
		}
		fd, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		return err
	}))
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func loopbackUp() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, ifr)
}

func cgroupBase(t *testing.T) string {
	t.Helper()
	for _, dir := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var st unix.Statfs_t
		if unix.Statfs(dir, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC {
			return dir
		}
	}
	t.Fatal("no cgroup2 file system")
	return ""
}

func removeGroup(t *testing.T, path string) {
	t.Helper()
	_ = os.WriteFile(filepath.Join(path, "cgroup.kill"), []byte("1"), 0)
	for range 1000 {
		err := os.Remove(path)
		if err == nil || os.IsNotExist(err) {
			return
		}
		if !errors.Is(err, unix.EBUSY) {
			t.Error(err)
			return
		}
		unix.Nanosleep(&unix.Timespec{Nsec: 1e6}, nil)
	}
	t.Errorf("%s is still populated", path)
}

// startBottle is [Prepare] and [Prepared.Run].
func startBottle(ctx context.Context, spec Spec, netnsFD, cgroupFD int, stdio [3]*os.File, console *os.File) (*Process, error) {
	p, err := Prepare(ctx, spec, netnsFD, cgroupFD, stdio, console)
	if err != nil {
		return nil, err
	}
	return p.Run(ctx)
}

// waitFor returns when the file is there.
func waitFor(t *testing.T, file string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(file); err == nil {
			return
		}
	}
	t.Fatalf("%s never came", file)
}

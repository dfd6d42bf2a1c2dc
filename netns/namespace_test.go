package netns

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	before := descriptors()
	code := m.Run()
	if after := descriptors(); code == 0 && after > before {
		os.Stderr.WriteString("descriptors are left over\n")
		code = 1
	}
	os.Exit(code)
}

// descriptors counts those that keep something of a namespace alive.
func descriptors() int {
	links, _ := filepath.Glob("/proc/self/fd/*")
	n := 0
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && (len(to) > 4 && to[:4] == "net:" || len(to) > 7 && to[:7] == "socket:") {
			n++
		}
	}
	return n
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func create(t testing.TB, p Plan) *Namespace {
	t.Helper()
	n, err := New()
	must(t, err)
	t.Cleanup(func() { n.Close() })
	must(t, n.Apply(p))
	return n
}

func TestNamespacesDiffer(t *testing.T) {
	a, b := create(t, Default()), create(t, Default())
	if a.ID() == b.ID() || a.Cookie() == 0 || a.Inode() == 0 {
		t.Errorf("%+v and %+v", a.ID(), b.ID())
	}
	var stat unix.Stat_t
	must(t, unix.Stat("/proc/self/ns/net", &stat))
	if stat.Ino == a.Inode() || stat.Ino == b.Inode() {
		t.Error("the process itself went into the bottle's namespace")
	}
}

// However often a goroutine is run by the first thread, /proc/PID/ns stays as it was.
func TestFirstThreadStays(t *testing.T) {
	n := create(t, Default())
	var before, after unix.Stat_t
	must(t, unix.Stat("/proc/self/ns/net", &before))
	for range 200 {
		must(t, n.Do(func() error { return nil }))
	}
	must(t, unix.Stat("/proc/self/ns/net", &after))
	if before.Ino != after.Ino {
		t.Errorf("from %d to %d", before.Ino, after.Ino)
	}
}

func TestOpenVerifies(t *testing.T) {
	n := create(t, Default())
	dup := func() int {
		fd, err := unix.FcntlInt(uintptr(n.FD()), unix.F_DUPFD_CLOEXEC, 3)
		must(t, err)
		return fd
	}
	same, err := OpenFD(dup(), n.ID())
	must(t, err)
	same.Close()
	for name, want := range map[string]ID{
		"zero":         {},
		"other cookie": {Inode: n.Inode(), Cookie: n.Cookie() + 1},
		"other inode":  {Inode: n.Inode() + 1, Cookie: n.Cookie()},
	} {
		if _, err := OpenFD(dup(), want); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
	if _, err := OpenPID(os.Getpid(), n.ID()); err == nil {
		t.Error("the namespace of another process was taken for the bottle's")
	}
	null, err := os.Open("/dev/null")
	must(t, err)
	defer null.Close()
	fd, err := unix.Dup(int(null.Fd()))
	must(t, err)
	if _, err := OpenFD(fd, n.ID()); err == nil {
		t.Error("what is no namespace was opened")
	}
}

func TestDoReturnsTheError(t *testing.T) {
	n := create(t, Default())
	want := errors.New("no")
	if err := n.Do(func() error { return want }); err != want {
		t.Errorf("got %v", err)
	}
}

// A fault at any step is reported with the step, and the next Apply mends it.
func TestApplyFaults(t *testing.T) {
	for _, part := range parts {
		t.Run(part.name, func(t *testing.T) {
			n, err := New()
			must(t, err)
			defer n.Close()
			broken := errors.New("broken")
			n.fault = func(step string) error {
				if step == part.name {
					return broken
				}
				return nil
			}
			if err := n.Apply(Default()); !errors.Is(err, broken) {
				t.Fatalf("got %v", err)
			}
			n.fault = func(string) error { return nil }
			must(t, n.Apply(Default()))
			if lines, err := n.Diff(Default()); err != nil || len(lines) > 0 {
				t.Errorf("%q, %v", lines, err)
			}
		})
	}
}

// A fault at any listener leaves none open: the next Listen finds all addresses free.
func TestListenFaults(t *testing.T) {
	n := create(t, Default())
	steps := 0
	for failAt := 0; ; failAt++ {
		steps = 0
		broken := errors.New("broken")
		n.fault = func(string) error {
			if steps++; steps > failAt {
				return broken
			}
			return nil
		}
		l, err := n.Listen(Default())
		if err == nil {
			l.Close()
			break
		}
		if !errors.Is(err, broken) {
			t.Fatal(err)
		}
	}
	if steps != 6 {
		t.Errorf("%d steps, want 6", steps)
	}
}

func BenchmarkCreate(b *testing.B) {
	for b.Loop() {
		n, err := New()
		must(b, err)
		must(b, n.Apply(Default()))
		n.Close()
	}
}

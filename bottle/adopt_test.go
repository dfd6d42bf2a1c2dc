package bottle

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf/link"
	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"bottled/bpf"
	"bottled/netns"
)

// restart closes the manager as a daemon that ends does, and makes another one in
// the same place.
func restart(t *testing.T, m *Manager) *Manager {
	t.Helper()
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	next, err := NewManager(t.Context(), m.o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // after the test's own bottles were stopped
		for _, i := range next.List(root, false) {
			_ = next.Stop(t.Context(), root, i.ID, 0)
		}
		next.Close()
		os.Remove(next.cgroups)
		os.Remove(next.pins)
	})
	return next
}

// hostManager is a manager whose bottles outlive it.
func hostManager(t *testing.T) *Manager {
	t.Helper()
	run := runDir(t)
	m, err := NewManager(t.Context(), Options{Run: run, Instance: HostInstance + "-" + newID()[:8]})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestANewDaemonAdoptsWhatIsWhole(t *testing.T) {
	m := hostManager(t)
	info := start1(t, m, "survivor")
	next := restart(t, m)
	got := next.List(root, false)
	if len(got) != 1 || got[0].ID != info.ID || !got[0].Adopted || got[0].PID != info.PID || got[0].WorkerPID != info.WorkerPID {
		t.Fatalf("adopted %+v; want %+v", got, info)
	}
	if _, _, err := next.UpdateRoutes(t.Context(), root, info.ID, "m", []byte("version: 1\ndefaults: false\negress: {allowlist: [docs.example.com]}\n"), nil, nil); err != nil {
		t.Errorf("an adopted bottle takes no routes: %v", err)
	}
	if err := next.Signal(t.Context(), root, info.ID, "", syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	exit, err := next.Wait(t.Context(), root, info.ID, false)
	if err != nil || exit.Code != 128+int(syscall.SIGTERM) && !(exit.Code == 125 && strings.Contains(exit.Reason, "lost") && tellsNoStatus(t)) {
		t.Errorf("the end of an adopted bottle: %+v, %v", exit, err)
	}
	nothingLeft(t, next)
}

// TestANewDaemonKillsWhatIsNotWhole tampers with one thing at a time.
func TestANewDaemonKillsWhatIsNotWhole(t *testing.T) {
	for name, tamper := range map[string]func(*testing.T, *Manager, Info){
		"ruleset flushed": flush,
		"a pin removed": func(t *testing.T, m *Manager, i Info) {
			pins, _ := filepath.Glob(filepath.Join(m.paths(i.ID).hooks(), "*"))
			if len(pins) == 0 {
				t.Fatal("no pins")
			}
			if err := os.Remove(pins[0]); err != nil {
				t.Fatal(err)
			}
		},
		"a pin of the fence removed": func(t *testing.T, m *Manager, i Info) {
			if err := os.Remove(filepath.Join(m.paths(i.ID).fence(), string(bpf.Egress))); err != nil {
				t.Fatal(err)
			}
		},
		"a program of the fence detached": func(t *testing.T, m *Manager, i Info) {
			l, err := link.LoadPinnedLink(filepath.Join(m.paths(i.ID).fence(), string(bpf.Connect4)), nil)
			if err == nil {
				err = errors.Join(l.Detach(), l.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
		},
		"enforcer outside of its fence": func(t *testing.T, m *Manager, i Info) {
			move(t, m, i, i.WorkerPID)
		},
		"init outside of its programs": func(t *testing.T, m *Manager, i Info) {
			move(t, m, i, i.PID)
		},
		"enforcer killed": func(t *testing.T, _ *Manager, i Info) { kill(t, i.WorkerPID) },
		"init killed":     func(t *testing.T, _ *Manager, i Info) { kill(t, i.PID) },
		"control socket removed": func(t *testing.T, m *Manager, i Info) {
			if err := os.Remove(m.paths(i.ID).control()); err != nil {
				t.Fatal(err)
			}
		},
		"record damaged": func(t *testing.T, m *Manager, i Info) {
			write(t, filepath.Join(m.paths(i.ID).state, recordFile), "{")
		},
		"another process's number": func(t *testing.T, m *Manager, i Info) {
			change(t, m, i, func(r *record) { r.Init = process{PID: os.Getpid(), Start: 1} })
		},
		"another namespace": func(t *testing.T, m *Manager, i Info) {
			change(t, m, i, func(r *record) { r.NetNS++ })
		},
		"another cgroup": func(t *testing.T, m *Manager, i Info) {
			change(t, m, i, func(r *record) { r.CgroupID++ })
		},
		"a later version": func(t *testing.T, m *Manager, i Info) {
			change(t, m, i, func(r *record) { r.Version++ })
		},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			m := hostManager(t)
			info, err := m.Create(t.Context(), root, CreateOptions{
				Command: []string{"sleep", "1000"}, Dir: workDir(t), User: &someone, Manifest: []byte("version: 1\n"),
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Close(); err != nil { // before the tampering, as a killed daemon would be
				t.Fatal(err)
			}
			tamper(t, m, info)
			next, err := NewManager(t.Context(), m.o)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				next.Close()
				os.Remove(next.cgroups)
				os.Remove(next.pins)
			}()
			if got := next.List(root, false); len(got) != 0 {
				t.Errorf("adopted %+v", got)
			}
			nothingLeft(t, next)
		})
	}
}

// move puts a process into a group beside those of its bottle.
func move(t *testing.T, m *Manager, i Info, pid int) {
	t.Helper()
	elsewhere := filepath.Join(filepath.Dir(m.paths(i.ID).inside()), "elsewhere")
	if err := os.Mkdir(elsewhere, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(elsewhere, "cgroup.procs"), strconv.Itoa(pid))
}

// tellsNoStatus says whether the kernel tells nobody but the parent how a process ended:
// PIDFD_INFO_EXIT is of Linux 6.15.
func tellsNoStatus(t *testing.T) bool {
	t.Helper()
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	var major, minor int
	if _, err := fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &major, &minor); err != nil {
		t.Fatal(err)
	}
	return major < 6 || major == 6 && minor < 15
}

func flush(t *testing.T, m *Manager, i Info) {
	t.Helper()
	r, err := loadRecord(m.paths(i.ID).state)
	if err != nil {
		t.Fatal(err)
	}
	ns, err := netns.OpenPID(i.PID, netns.ID{Inode: r.NetNS, Cookie: r.NetNSCookie})
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	err = ns.Do(func() error {
		c, err := nftables.New()
		if err != nil {
			return err
		}
		c.FlushRuleset()
		return c.Flush()
	})
	if err != nil {
		t.Fatal(err)
	}
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); !zombie(strconv.Itoa(pid)); { // it dies a little later
		if time.Now().After(end) {
			t.Fatalf("process %d lives on", pid)
		}
		time.Sleep(time.Millisecond)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func change(t *testing.T, m *Manager, i Info, f func(*record)) {
	t.Helper()
	dir := m.paths(i.ID).state
	r, err := loadRecord(dir)
	if err != nil {
		t.Fatal(err)
	}
	f(r)
	if err := r.save(dir); err != nil {
		t.Fatal(err)
	}
}

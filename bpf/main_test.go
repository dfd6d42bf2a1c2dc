package bpf

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

const actEnv = "BOTTLED_BPF_ACT"

var fsDir, groupDir string

func TestMain(m *testing.M) {
	if act := os.Getenv(actEnv); act != "" {
		if err := acts[act](os.Args[1:]); err != nil {
			fmt.Print(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "bottled-bpf-")
	check(err)
	defer os.RemoveAll(dir)
	fsDir, err = FS(dir)
	check(err)
	if again, err := FS(dir); again != fsDir || err != nil {
		panic(fmt.Sprint("FS called twice: ", again, err))
	}
	if fsDir == dir {
		defer unix.Unmount(dir, unix.MNT_DETACH)
	}
	groupDir, err = os.MkdirTemp(cgroupMount(), "bottled-bpf-")
	check(err)
	defer unix.Rmdir(groupDir)
	before := bpfObjects()
	code := m.Run()
	if after := bpfObjects(); code == 0 && before != after {
		fmt.Printf("descriptors of links, maps and programs: %d before, %d after\n", before, after)
		code = 1
	}
	return code
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func cgroupMount() string {
	for _, dir := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var stat unix.Statfs_t
		if unix.Statfs(dir, &stat) == nil && stat.Type == unix.CGROUP2_SUPER_MAGIC {
			return dir
		}
	}
	panic("no cgroup2 file system at its usual places")
}

// bpfObjects counts the descriptors of this process that keep programs alive.
func bpfObjects() int {
	links, _ := filepath.Glob("/proc/self/fd/*")
	n := 0
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && (len(to) > 15 && to[:15] == "anon_inode:bpf-" || to == "anon_inode:bpf_link") {
			n++
		}
	}
	return n
}

// group is an empty cgroup.
func group(t testing.TB) *os.File {
	t.Helper()
	path, err := os.MkdirTemp(groupDir, "g")
	must(t, err)
	dir, err := os.Open(path)
	must(t, err)
	t.Cleanup(func() {
		dir.Close()
		must(t, unix.Rmdir(path))
	})
	return dir
}

// here is the cookie of the test's own namespace: the bottle of these tests is the
// host, and nothing is sent that the programs let through.
func here(t testing.TB) uint64 {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(fd)
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	must(t, err)
	return cookie
}

func options(t testing.TB, dir *os.File) Options {
	return Options{
		CgroupFD:    int(dir.Fd()),
		NetnsCookie: here(t),
		Addresses:   []netip.Addr{netip.MustParseAddr("100.64.0.2"), netip.MustParseAddr("fd00::2")},
		PinDir:      filepath.Join(fsDir, filepath.Base(t.Name())+strconv.Itoa(os.Getpid())),
	}
}

func attached(t testing.TB, o Options) *Hooks {
	t.Helper()
	h, err := Attach(o)
	must(t, err)
	t.Cleanup(func() {
		must(t, h.Close())
		must(t, Remove(o.PinDir))
	})
	return h
}

// command is an act as a process in the group.
func command(t testing.TB, dir *os.File, act string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", args...)
	cmd.Env = []string{actEnv + "=" + act}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if dir != nil {
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(dir.Fd())
	}
	return cmd
}

// acts are what the processes of these tests do.
var acts = map[string]func(args []string) error{
	"udp": func(args []string) error {
		to := netip.MustParseAddrPort(args[0])
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		if err != nil {
			return err
		}
		return unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()})
	},
	"raw": func(args []string) error {
		times, err := strconv.Atoi(args[0])
		if err != nil {
			return err
		}
		for range times {
			if _, err = unix.Socket(unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6); err == nil {
				return nil
			}
		}
		return err
	},
	"sockets": func([]string) error {
		var limit unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			return err
		}
		limit.Cur = limit.Max
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			return fmt.Errorf("more descriptors: %w", err)
		}
		for i := range 17000 {
			if _, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0); err != nil {
				return fmt.Errorf("%d: %w", i, err)
			}
		}
		return nil
	},
	"flow": func([]string) error {
		f, err := NewFlows(3)
		if err != nil {
			return err
		}
		flow, ok := f.Flow(netip.MustParseAddrPort("192.0.2.1:1000"), netip.MustParseAddrPort("192.0.2.2:443"))
		if !ok {
			return fmt.Errorf("not found")
		}
		return json.NewEncoder(os.Stdout).Encode(flow.Process)
	},
	"unpin": func(args []string) error {
		// BPF_OBJ_GET, which every change by a pin begins with.
		if l, err := link.LoadPinnedLink(args[0], nil); err == nil {
			return l.Close()
		}
		m, err := ebpf.LoadPinnedMap(args[0], nil)
		if err != nil {
			return err
		}
		return m.Close()
	},
	"change": func([]string) error { return changeMap(3) },
}

package launch

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bottled/attack"

	"golang.org/x/sys/unix"
)

// outside runs a probe where nothing enforces: on the host, as root.
func (h *host) outside(name string, args ...string) attack.Probe {
	return func(*testing.T) error {
		cmd := exec.Command(h.probe, args...)
		cmd.Env = []string{"BOTTLED_PROBE=" + name, noSleep, "PATH=/usr/bin:/bin"}
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w", strings.TrimSpace(string(out)), err)
		}
		return nil
	}
}

// inside runs a probe as the command of a bottle.
func (h *host) inside(name string, args ...string) attack.Probe {
	return h.insideWith(h.spec(), name, args...)
}

func (h *host) insideWith(s Spec, name string, args ...string) attack.Probe {
	return func(t *testing.T) error {
		s.Argv = append([]string{h.probe}, args...)
		s.Env = append(slices.Clone(s.Env), "BOTTLED_PROBE="+name, noSleep)
		out, exit := h.run(t, s)
		if exit.Status() == 2 {
			t.Fatalf("the probe is broken: %s", out)
		}
		if exit.Status() != 0 {
			return fmt.Errorf("%s (exit %d)", strings.TrimSpace(out), exit.Status())
		}
		return nil
	}
}

func socketArgs(family, kind, protocol int) []string {
	return []string{fmt.Sprint(family), fmt.Sprint(kind), fmt.Sprint(protocol)}
}

func TestAttackSocketFamilies(t *testing.T) {
	h := newHost(t)
	for _, c := range []struct {
		id, name               string
		family, kind, protocol int
	}{
		{"K01", "UDP-Lite", unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_UDPLITE},
		{"K01", "UDP-Lite over IPv6", unix.AF_INET6, unix.SOCK_DGRAM, unix.IPPROTO_UDPLITE},
		{"K03", "raw ICMP", unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP},
		{"K03", "raw UDP", unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_UDP},
		{"K03", "raw 253", unix.AF_INET6, unix.SOCK_RAW, 253},
		{"K03", "IPPROTO_RAW", unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW},
		{"K04", "AF_PACKET", unix.AF_PACKET, unix.SOCK_DGRAM, 0},
		{"K09", "MPTCP", unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP},
		{"K34", "NETLINK_NETFILTER", unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER},
	} {
		args := socketArgs(c.family, c.kind, c.protocol)
		attack.Stopped(t, c.id, c.name, h.outside("socket", args...), h.inside("socket", args...))
	}
}

// TestAttackSocketFamiliesNotHere covers families that this kernel may not have
// and whose control can therefore not get through: the answer must be the filter's all the same.
func TestAttackSocketFamiliesNotHere(t *testing.T) {
	h := newHost(t)
	for family := range 64 {
		if family == unix.AF_UNIX || family == unix.AF_INET || family == unix.AF_INET6 || family == unix.AF_NETLINK {
			continue
		}
		args := socketArgs(family, unix.SOCK_STREAM, 0)
		err := h.inside("socket", args...)(t)
		if err == nil || !strings.Contains(err.Error(), "address family not supported") {
			t.Errorf("socket(%d): %v", family, err)
		}
		if testing.Short() && family > unix.AF_VSOCK {
			break
		}
	}
	if _, err := os.Stat("/dev/vsock"); err == nil {
		args := socketArgs(unix.AF_VSOCK, unix.SOCK_STREAM, 0)
		attack.Stopped(t, "K06", "AF_VSOCK", h.outside("socket", args...), h.inside("socket", args...))
		attack.Stopped(t, "K06", "/dev/vsock", h.outside("open", "/dev/vsock"), h.inside("open", "/dev/vsock"))
	}
}

// TestAttackForeignABI runs programs that were put together byte by byte: a
// 32-bit one, and a 64-bit one that makes its call by int 0x80. Both ask for an AF_UNIX socket,
// which exits with its descriptor where the ABI is there.
func TestAttackForeignABI(t *testing.T) {
	h := newHost(t)
	for name, image := range map[string][]byte{"int 0x80 from a 64-bit program": elf64(int80Socket), "a 32-bit program": elf32(int80Socket)} {
		path := filepath.Join(h.dir, strings.Fields(name)[1])
		must(t, os.WriteFile(path, image, 0o755))
		must(t, os.Chmod(path, 0o755))
		exited := func(status int) error {
			if status >= 3 && status < 100 {
				return nil
			}
			return fmt.Errorf("the program ended with %d", status)
		}
		attack.Stopped(t, "K46", name,
			func(*testing.T) error {
				var ee *exec.ExitError
				if err := exec.Command(path).Run(); !errors.As(err, &ee) {
					return fmt.Errorf("run: %w", err)
				}
				return exited(ee.ExitCode())
			},
			func(t *testing.T) error {
				_, exit := h.run(t, h.spec(path))
				if exit.Signal != unix.SIGSYS {
					t.Errorf("ended with %+v, want SIGSYS", exit)
				}
				return exited(exit.Status())
			})
	}
}

func TestAttackKernelInterfaces(t *testing.T) {
	h := newHost(t)
	attack.Stopped(t, "K36", "a user and network namespace of its own", h.outside("unshare"), h.inside("unshare"))
	attack.Stopped(t, "K45", "io_uring", h.outside("uring"), h.inside("uring"))
	attack.Stopped(t, "K51", "bpf", h.outside("bpf"), h.inside("bpf"))
	self := fmt.Sprintf("/proc/%d/ns/net", os.Getpid())
	attack.Stopped(t, "K37", "setns by PID 1", h.outside("setns", self), h.inside("setns", "/proc/1/ns/net"))
	attack.Stopped(t, "K37", "setns by the daemon's number", h.outside("setns", self), h.inside("setns", self))
	// Harmless when it gets through: the value that is there already.
	for _, path := range []string{"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv4/conf/all/route_localnet", "/proc/sys/kernel/domainname", "/proc/sys/net/ipv4/ping_group_range"} {
		value, err := os.ReadFile(path)
		must(t, err)
		attack.Stopped(t, "K15", path, h.outside("write", path, string(value)), h.inside("write", path, string(value)))
	}
}

func TestAttackSharedMemoryAndKeys(t *testing.T) {
	h := newHost(t)
	const key = 0x62747431
	id, err := unix.SysvShmGet(key, 4096, unix.IPC_CREAT|0o666)
	must(t, err)
	defer unix.SysvShmCtl(id, unix.IPC_RMID, nil)
	attack.Stopped(t, "K49", "System V shared memory", h.outside("shm", fmt.Sprint(key)), h.inside("shm", fmt.Sprint(key)))

	for _, dir := range []string{"/dev/shm", "/tmp", "/var/tmp", "/run"} {
		f, err := os.CreateTemp(dir, "bottled-launch-test-")
		must(t, err)
		must(t, f.Chmod(0o666))
		defer os.Remove(f.Name())
		defer f.Close()
		attack.Stopped(t, "K49", "a file in "+dir, h.outside("read", f.Name()), h.inside("read", f.Name()))
	}
}

func TestAttackHostSockets(t *testing.T) {
	h := newHost(t)
	for name, dir := range map[string]string{"the home": h.home, "/var/lib": filepath.Dir(h.home), "/run": "/run", "/tmp": "/tmp"} {
		path := filepath.Join(dir, fmt.Sprintf("bottled-test-%d.sock", os.Getpid()))
		l, err := net.Listen("unix", path)
		must(t, err)
		must(t, os.Chmod(path, 0o777))
		attack.Stopped(t, "K42", "a host's Unix socket in "+name, h.outside("unix", path), h.inside("unix", path))
		attack.Stopped(t, "K40", "a descriptor passed by a host's socket in "+name, passing(l, h.outside("fdpass", path)), passing(l, h.inside("fdpass", path)))
		l.Close()

		fifo := path + ".fifo"
		must(t, unix.Mkfifo(fifo, 0o666))
		must(t, os.Chmod(fifo, 0o666))
		r, err := unix.Open(fifo, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		must(t, err)
		attack.Stopped(t, "K42", "a host's FIFO in "+name, h.outside("fifo", fifo), h.inside("fifo", fifo))
		unix.Close(r)
		must(t, os.Remove(fifo))
	}
	attack.Stopped(t, "K42", "an abstract socket of the host", abstract(t, h.outside), abstract(t, h.inside))
}

func abstract(t *testing.T, run func(string, ...string) attack.Probe) attack.Probe {
	t.Helper()
	name := fmt.Sprintf("@bottled-test-%d", os.Getpid())
	return func(t *testing.T) error {
		l, err := net.Listen("unix", name)
		must(t, err)
		defer l.Close()
		return run("unix", name)(t)
	}
}

// passing answers every connection to l with a descriptor while p runs.
func passing(l net.Listener, p attack.Probe) attack.Probe {
	return func(t *testing.T) error {
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _, _ = c.(*net.UnixConn).WriteMsgUnix([]byte{0}, unix.UnixRights(0), nil)
				c.Close()
			}
		}()
		defer func() {
			must(t, l.(*net.UnixListener).SetDeadline(time.Now()))
			<-done
			must(t, l.(*net.UnixListener).SetDeadline(time.Time{}))
		}()
		return p(t)
	}
}

// TestAttackOtherProcesses has a process of the same user outside, which the
// bottle must not see, and one in a second bottle.
func TestAttackOtherProcesses(t *testing.T) {
	h := newHost(t)
	other := newHost(t)
	p, err := startBottle(t.Context(), other.spec("sleep", "1000"), other.netns, other.cgroup, [3]*os.File{}, nil)
	must(t, err)
	defer p.Close()
	defer p.Wait()
	defer p.Kill()
	pid := fmt.Sprint(p.PID())
	attack.Stopped(t, "K48", "memory of a process in another bottle", h.outside("vmread", pid), h.inside("vmread", pid))
	attack.Stopped(t, "K48", "environment of the daemon", h.outside("read", fmt.Sprintf("/proc/%d/environ", os.Getpid())), h.inside("read", fmt.Sprintf("/proc/%d/environ", os.Getpid())))
	attack.Stopped(t, "C10", "environment of the first process", h.outside("read", "/proc/"+pid+"/environ"), h.inside("read", "/proc/1/environ"))
}

// TestAttackSetuid runs a set-user-ID root copy of a shell's helper.
func TestAttackSetuid(t *testing.T) {
	h := newHost(t)
	suid := filepath.Join(filepath.Dir(h.home), "suid-probe")
	exe, err := os.ReadFile(h.probe)
	must(t, err)
	must(t, os.WriteFile(suid, exe, 0o755))
	must(t, os.Chmod(suid, os.ModeSetuid|0o755))
	secret := filepath.Join(filepath.Dir(h.home), "roots-own")
	must(t, os.WriteFile(secret, []byte("x"), 0o600))
	attack.Stopped(t, "K61", "a set-user-ID binary reads root's file",
		func(*testing.T) error {
			cmd := exec.Command(suid, secret)
			cmd.Env = []string{"BOTTLED_PROBE=read"}
			cmd.SysProcAttr = asUser(testUID)
			out, err := cmd.CombinedOutput()
			if err != nil {
				return fmt.Errorf("%s: %w", out, err)
			}
			return nil
		},
		func(t *testing.T) error {
			s := h.spec(suid, secret)
			s.Env = append(s.Env, "BOTTLED_PROBE=read")
			out, exit := h.run(t, s)
			if exit.Status() != 0 {
				return errors.New(strings.TrimSpace(out))
			}
			return nil
		})
	attack.Stopped(t, "K61", "a set-user-ID file is made",
		func(*testing.T) error {
			cmd := exec.Command("chmod", "u+s", "made")
			cmd.Dir = h.dir
			h.write(t, filepath.Join(h.dir, "made"), "")
			cmd.SysProcAttr = asUser(testUID)
			return cmd.Run()
		},
		func(t *testing.T) error {
			out, exit := h.run(t, h.spec("chmod", "u+s", "made"))
			if exit.Status() != 0 {
				return errors.New(strings.TrimSpace(out))
			}
			return nil
		})
}

// TestAttackDropFails: when a step of the drop fails, no command runs. The control
// is the same launch without the fault.
func TestAttackDropFails(t *testing.T) {
	h := newHost(t)
	defer func() { fault = 0 }()
	launch := func(n int) attack.Probe {
		return func(t *testing.T) error {
			fault = n
			p, err := startBottle(t.Context(), h.spec("true"), h.netns, h.cgroup, [3]*os.File{}, nil)
			if err != nil {
				return err
			}
			defer p.Close()
			_, err = p.Wait()
			return err
		}
	}
	for n := 15; n <= 26; n++ { // from the groups to the verified filter
		attack.Stopped(t, "A15", fmt.Sprintf("step %d fails", n), launch(0), launch(n))
	}
}

// TestAttackRaceAtLaunch starts a bottle again and again whose command connects
// at once to a listener of the host. The control connects from outside.
func TestAttackRaceAtLaunch(t *testing.T) {
	h := newHost(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	reached := make(chan struct{}, 4096)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			reached <- struct{}{}
			c.Close()
		}
	}()
	launches := 1000
	if testing.Short() || raceDetector {
		launches = 40
	}
	address := l.Addr().String()
	for _, id := range []string{"K39", "R01"} {
		attack.Stopped(t, id, fmt.Sprintf("connect at once, %d launches", launches/2),
			func(t *testing.T) error {
				if err := h.outside("connect", address)(t); err != nil {
					return err
				}
				<-reached
				return nil
			},
			func(t *testing.T) error {
				var last error
				for range launches / 2 {
					if last = h.inside("connect", address)(t); last == nil || len(reached) > 0 {
						return nil
					}
				}
				return last
			})
	}
}

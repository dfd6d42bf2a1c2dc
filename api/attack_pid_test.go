package api

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bottled/attack"
)

// A user connects, exits, and leaves the connection to a helper; a process of
// root's gets its pid. Who asks /proc about the pid sees root.
func TestAttackRecycledPID(t *testing.T) {
	run := func(t *testing.T, way string) error {
		cmd := exec.Command(selfCopy)
		cmd.Env = []string{"GORACE=atexit_sleep_ms=0", "BOTTLED_TEST_PEER=recycle", "RECYCLE=" + way}
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		switch text := string(out); {
		case text == "root":
			return nil
		case strings.HasPrefix(text, "refused: "):
			return errors.New(strings.TrimPrefix(text, "refused: "))
		default:
			t.Fatalf("the scenario failed: %s", text)
			return nil
		}
	}
	attack.Stopped(t, "A04", "the peer's pid belongs to root by now",
		func(t *testing.T) error { return run(t, "proc") }, func(t *testing.T) error { return run(t, "kernel") })
}

func init() {
	peers["recycle"] = recycle
	peers["connect-and-leave"] = func() string {
		c, err := net.Dial("unix", os.Getenv("PEER_SOCKET"))
		if err != nil {
			return err.Error()
		}
		f, err := c.(*net.UnixConn).File()
		if err != nil {
			return err.Error()
		}
		back, err := net.FileConn(os.NewFile(3, "back"))
		if err != nil {
			return err.Error()
		}
		back.(*net.UnixConn).WriteMsgUnix([]byte{0}, rights([]*os.File{f}), nil)
		return ""
	}
}

// recycle plays the whole scene as the first process of a pid namespace of its own,
// where it can choose the next pid.
func recycle() string {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err.Error()
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return err.Error()
	}
	l, err := net.Listen("unix", "@bottled-recycle-"+requestID())
	if err != nil {
		return err.Error()
	}
	pl := newPeerListener(l.(*net.UnixListener), nil)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err.Error()
	}
	theirs := os.NewFile(uintptr(pair[1]), "theirs")
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{"GORACE=atexit_sleep_ms=0", "BOTTLED_TEST_PEER=connect-and-leave", "PEER_SOCKET=" + l.Addr().String()}
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: deniedUID, Gid: deniedUID}}
	if err := cmd.Start(); err != nil {
		return err.Error()
	}
	accepted, err := pl.Accept()
	if err != nil {
		return err.Error()
	}
	c := accepted.(*conn)
	oob := make([]byte, unix.CmsgSpace(4))
	if _, _, _, _, err := unix.Recvmsg(pair[0], make([]byte, 1), oob, 0); err != nil { // keeps the connection open
		return err.Error()
	}
	if err := cmd.Wait(); err != nil {
		return err.Error()
	}
	pid := cmd.Process.Pid
	sleeper, err := rootAs(pid)
	if err != nil {
		return err.Error()
	}
	defer sleeper.Kill()

	if os.Getenv("RECYCLE") == "proc" {
		var st unix.Stat_t
		if err := unix.Stat("/proc/"+strconv.Itoa(c.peer.PID), &st); err != nil {
			return err.Error()
		}
		if st.Uid == 0 {
			return "root"
		}
		return fmt.Sprintf("uid %d", st.Uid)
	}
	s := NewServer(newFake(), nil)
	s.group, s.netns = deniedUID, c.peer.netns // even where the user itself could call
	if c.peer.UID != deniedUID {
		return "root"
	}
	if err := s.allowed(&c.peer); err != nil {
		return "refused: " + err.Error()
	}
	return "not refused"
}

// rootAs starts processes until one gets the pid.
func rootAs(pid int) (*os.Process, error) {
	for range 200 {
		if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(pid-1)), 0); err != nil {
			return nil, err
		}
		cmd := exec.Command("/bin/sleep", "60")
		stdin, err := cmd.StdinPipe()
		if err != nil {
			return nil, err
		}
		defer io.Closer(stdin).Close()
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		if cmd.Process.Pid == pid {
			return cmd.Process, nil
		}
		cmd.Process.Kill()
		cmd.Wait()
		time.Sleep(time.Millisecond)
	}
	return nil, errors.New("the pid could not be had again")
}

package scenario

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestExitStatusIsTheCommands(t *testing.T) {
	d := startDaemon(t, nil)
	for _, c := range []struct {
		argv []string
		want int
	}{
		{[]string{"true"}, 0},
		{[]string{"sh", "-c", "exit 7"}, 7},
		{[]string{"/etc/passwd"}, 126},
		{[]string{"no-such-program"}, 127},
		{[]string{"sh", "-c", "kill -KILL $$"}, 128 + 9},
		{[]string{"sh", "-c", "kill -SEGV $$"}, 128 + 11},
	} {
		if r := d.run(t, bottle{}, c.argv...); r.code != c.want {
			t.Errorf("%q: %v; want %d", c.argv, r, c.want)
		}
	}
	if r := d.run(t, bottle{manifest: "version: 2\n"}, "true"); r.code != 125 {
		t.Errorf("a bad manifest: %v", r)
	}
}

func TestPipes(t *testing.T) {
	d := startDaemon(t, nil)
	big := strings.Repeat("0123456789abcdef", 1<<16)
	if r := d.run(t, bottle{stdin: big}, "cat"); r.stdout != big || r.code != 0 {
		t.Errorf("%d of %d bytes came back: %v", len(r.stdout), len(big), r.code)
	}
	if r := d.sh(t, bottle{stdin: ""}, "cat; echo end; echo complaint >&2"); r.stdout != "end\n" || r.stderr != "complaint\n" {
		t.Errorf("%v", r)
	}
	if r := d.run(t, bottle{stdin: big}, "head", "-c", "16"); r.stdout != big[:16] || r.code != 0 {
		t.Errorf("a command that does not read on: %v", r)
	}
	// Who reads too little is no reason to hang: yes ends by SIGPIPE.
	r := execute(t, []string{"BOTTLED_SOCKET=" + d.socket}, "", "sh", "-c", program("bottled")+" run --dir "+workDir(t, nil)+" -- yes | head -n 1")
	if r.stdout != "y\n" {
		t.Errorf("%v", r)
	}
}

// session is a program at a terminal.
type session struct {
	master *os.File
	cmd    *exec.Cmd
	screen *lines
}

func atTerminal(t *testing.T, d *daemon, argv ...string) *session {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	s := &session{master: master, screen: new(lines)}
	s.resize(t, 24, 80)
	s.cmd = exec.Command(program("bottled"), bottle{}.args(t, argv...)...)
	s.cmd.Env = append(os.Environ(), "BOTTLED_SOCKET="+d.socket, "TERM=dumb", "PS1=ready> ")
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = tty, tty, tty
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			_, _ = s.screen.Write(buf[:n])
			if err != nil {
				return
			}
		}
	}()
	return s
}

func (s *session) resize(t *testing.T, rows, columns uint16) {
	t.Helper()
	if err := unix.IoctlSetWinsize(int(s.master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns}); err != nil {
		t.Fatal(err)
	}
}

// says types and waits for what the screen shows after it.
func (s *session) says(t *testing.T, typed, want string) {
	t.Helper()
	from := len(s.screen.String())
	if _, err := s.master.WriteString(typed); err != nil {
		t.Fatal(err)
	}
	eventually(t, fmt.Sprintf("%q after typing %q", want, typed), 15*time.Second, func() error {
		if screen := s.screen.String()[from:]; !strings.Contains(screen, want) {
			return fmt.Errorf("the screen shows %q", screen)
		}
		return nil
	})
}

func TestATerminalIsATerminal(t *testing.T) {
	d := startDaemon(t, nil)
	s := atTerminal(t, d, "bash", "--norc", "-i")
	s.says(t, "tty; echo is $?\r", "/dev/pts/0")
	s.says(t, "stty size\r", "24 80")
	s.resize(t, 40, 132)
	s.says(t, "sleep 0.3; stty size\r", "40 132")
	s.says(t, "echo begin; sleep 1000\r", "begin\r\n")
	time.Sleep(300 * time.Millisecond) // the shell gives the terminal to sleep
	s.says(t, "\x03", "^C")
	s.says(t, "echo status $?\r", "status 130")
	s.says(t, "echo begin; sleep 1000\r", "begin\r\n")
	time.Sleep(300 * time.Millisecond)
	s.says(t, "\x1a", "Stopped")
	s.says(t, "bg; jobs\r", "Running")
	s.says(t, "kill %1; wait %1; echo ended $?\r", "ended 143")
	// The host's terminal is not the bottle's.
	s.says(t, "ls /dev/pts | tr '\\n' ' '; echo .\r", "0 ptmx .")
	if _, err := s.master.WriteString("exit 3\r"); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Wait(); s.cmd.ProcessState.ExitCode() != 3 {
		t.Errorf("%v; the screen shows %q", err, s.screen)
	}
}

// background starts `bottled run` without a terminal.
func (d *daemon) background(t *testing.T, b bottle, argv ...string) (*exec.Cmd, *lines) {
	t.Helper()
	cmd := exec.Command(program("bottled"), b.args(t, argv...)...)
	out := new(lines)
	cmd.Env = append(append(os.Environ(), "BOTTLED_SOCKET="+d.socket), b.env...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, out
}

func (l *lines) await(t *testing.T, want string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%q", want), 20*time.Second, func() error {
		if text := l.String(); !strings.Contains(text, want) {
			return fmt.Errorf("it says %q", text)
		}
		return nil
	})
}

func TestSignalsReachTheCommand(t *testing.T) {
	d := startDaemon(t, nil)
	const script = `for s in TERM INT HUP USR1 QUIT; do trap "echo got $s" $s; done; trap 'echo bye; exit 5' USR2
		echo ready; while :; do sleep 0.05; done`
	cmd, out := d.background(t, bottle{}, "sh", "-c", script)
	out.await(t, "ready")
	for name, s := range map[string]syscall.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "HUP": syscall.SIGHUP, "USR1": syscall.SIGUSR1, "QUIT": syscall.SIGQUIT} {
		if err := cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
		out.await(t, "got "+name)
	}
	if err := cmd.Process.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 5 {
		t.Errorf("%v: %s", err, out)
	}

	// Without a trap the command ends by the signal, and so does what waits for it.
	cmd, out = d.background(t, bottle{}, "sh", "-c", "echo ready; exec sleep 1000")
	out.await(t, "ready")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 128+15 {
		t.Errorf("%v: %s", err, out)
	}
}

// leaseTime is how long a bottle may outlive its `bottled run`, with room for a busy machine.
const leaseTime = 20 * time.Second

func TestAKilledClientTakesItsBottleAlong(t *testing.T) {
	d := startDaemon(t, nil)
	cmd, out := d.background(t, bottle{}, "sh", "-c", "trap '' TERM HUP; echo ready; while :; do sleep 1; done")
	out.await(t, "ready")
	b := d.list(t)[0]
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	began := time.Now()
	eventually(t, "the bottle is gone", leaseTime, func() error {
		if list := d.list(t); len(list) > 0 {
			return fmt.Errorf("%+v", list)
		}
		return nil
	})
	t.Logf("gone %v after kill -9 of its client", time.Since(began).Round(time.Millisecond))
	nothingLeft(t, d, b)
}

// TestRootNeedsNoDaemon: `sudo bottled run` serves itself.
func TestRootNeedsNoDaemon(t *testing.T) {
	w := newWorld(t) // its daemon is not used
	w.https(t, "api.example.com", greet)
	mark := fmt.Sprintf("alone-%d", os.Getpid())
	b := bottle{manifest: w.only("api.example.com"), flags: []string{"--resolver", w.names.Addr(), "--name", mark}}
	r := execute(t, []string{"BOTTLED_SOCKET=" + filepath.Join(w.dir, "none")}, "in", program("bottled"),
		b.args(t, "sh", "-c", "cat; curl -sS https://api.example.com/ https://other.example.com/; exit 9")...)
	if r.code != 9 || !strings.HasPrefix(r.stdout, "in") || !strings.Contains(r.stdout, greeting) || !strings.Contains(r.stdout, "host-not-allowed") {
		t.Errorf("%v", r)
	}
	if r := w.run(t, b, "true"); r.code != 125 || !strings.Contains(r.stderr, "--resolver is for a run without a daemon") {
		t.Errorf("a resolver of its own beside a daemon: %v", r)
	}
	if list := w.list(t); len(list) != 0 {
		t.Errorf("the daemon has %+v", list)
	}
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, name := range environs {
		if text, err := os.ReadFile(name); err == nil && bytes.Contains(text, []byte("BOTTLED="+mark+"\x00")) {
			t.Errorf("%s is of a process that was left", name)
		}
	}
}

package launch

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

func TestCommandHasNothing(t *testing.T) {
	h := newHost(t)
	status := h.sh(t, "cat /proc/self/status")
	const none = "0000000000000000"
	for key, want := range map[string]string{
		"Uid": fmt.Sprintf("%[1]d %[1]d %[1]d %[1]d", testUID), "Gid": fmt.Sprintf("%[1]d %[1]d %[1]d %[1]d", testUID),
		"Groups": "", "CapInh": none, "CapPrm": none, "CapEff": none, "CapBnd": none, "CapAmb": none,
		"NoNewPrivs": "1", "Seccomp": "2",
	} {
		if got := field(status, key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	if got := h.sh(t, "cat /proc/self/limits | grep 'core file'"); strings.Join(strings.Fields(got), " ") != "Max core file size 0 0 bytes" {
		t.Errorf("core limit: %s", got)
	}
	if got := h.sh(t, "ls /proc/self/fd"); strings.Join(strings.Fields(got), " ") != "0 1 2 3" { // 3 is ls's own
		t.Errorf("the command has descriptors %q", got)
	}
	if got := h.sh(t, "cat /proc/self/oom_score_adj"); strings.HasPrefix(got, "-") {
		t.Errorf("oom_score_adj is %s: the daemon's protection came with it", got)
	}
}

func field(status, key string) string {
	for line := range strings.Lines(status) {
		if k, v, ok := strings.Cut(line, ":"); ok && k == key {
			return strings.Join(strings.Fields(v), " ")
		}
	}
	return "missing"
}

func TestGroupsAreExactlyThose(t *testing.T) {
	h := newHost(t)
	got := h.sh(t, "grep Groups /proc/self/status", func(s *Spec) { s.Groups = []uint32{70001, 70000} })
	if got = strings.Join(strings.Fields(got), " "); got != "Groups: 70000 70001" {
		t.Errorf("got %q", got)
	}
}

func TestEnvironmentIsExactlyEnv(t *testing.T) {
	t.Setenv("BOTTLED_TEST_CANARY", "from the daemon")
	h := newHost(t)
	s := h.spec("/usr/bin/env")
	s.Env = []string{"A=1", "B=two words"}
	if out, _ := h.run(t, s); out != "A=1\nB=two words\n" {
		t.Errorf("environment:\n%s", out)
	}
}

func TestAnonymousUserHasAName(t *testing.T) {
	h := newHost(t)
	if got := h.sh(t, "id -un; id -gn; getent passwd $(id -u); python3 -c 'import getpass,os,pwd; print(getpass.getuser(), pwd.getpwuid(os.getuid()).pw_dir)'"); got != strings.Join([]string{
		"bottle", "bottle", fmt.Sprintf("bottle:x:%[1]d:%[1]d:bottle:%[2]s:/bin/sh", testUID, h.home), "bottle " + h.home,
	}, "\n") {
		t.Errorf("got:\n%s", got)
	}
	h.sh(t, "git init -q repo && cd repo && git -c user.name=a -c user.email=a@example.com commit -q --allow-empty -m x && tar -cf ../x.tar . && mkdir ../y && tar -xf ../x.tar -C ../y && npm --version")
}

func TestRefusesRoot(t *testing.T) {
	h := newHost(t)
	for name, change := range map[string]func(*Spec){
		"user 0": func(s *Spec) { s.UID = 0 }, "group 0": func(s *Spec) { s.GID = 0 },
		"supplementary group 0": func(s *Spec) { s.Groups = []uint32{5, 0} },
		"user -1":               func(s *Spec) { s.UID = ^uint32(0) }, "zero spec": func(s *Spec) { *s = Spec{} },
	} {
		s := h.spec("true")
		change(&s)
		p, err := startBottle(t.Context(), s, h.netns, h.cgroup, [3]*os.File{}, nil)
		if err == nil {
			_ = p.Kill()
			t.Errorf("%s was started", name)
		} else {
			t.Log(name, "→", err)
		}
	}
}

// TestFirstProcess looks at PID 1 of a bottle from the host and from inside.
func TestFirstProcess(t *testing.T) {
	h := newHost(t)
	leak, err := os.Open("/etc/passwd") // a descriptor that a careless daemon lets through
	must(t, err)
	defer leak.Close()
	_, _, errno := fcntlInherit(leak)
	if errno != 0 {
		t.Fatal(errno)
	}
	p, err := startBottle(t.Context(), h.spec("sleep", "1000"), h.netns, h.cgroup, [3]*os.File{}, nil)
	must(t, err)
	defer p.Close()
	defer p.Wait()
	defer p.Kill()
	pid := fmt.Sprintf("/proc/%d/", p.PID())
	entries, err := os.ReadDir(pid + "fd")
	must(t, err)
	sockets := 0
	for _, e := range entries {
		target, err := os.Readlink(pid + "fd/" + e.Name())
		must(t, err)
		switch {
		case target == "/dev/null":
		case strings.HasPrefix(target, "socket:"):
			sockets++
		case target == "anon_inode:[eventpoll]", target == "anon_inode:[eventfd]": // the runtime's poller
		default:
			t.Errorf("PID 1 has descriptor %s: %s", e.Name(), target)
		}
	}
	if sockets != 1 {
		t.Errorf("PID 1 has %d sockets, want its sync socket only", sockets)
	}
	env, err := os.ReadFile(pid + "environ")
	must(t, err)
	if got := strings.Trim(string(env), "\x00"); got != strings.Join(initEnv, "\x00") {
		t.Errorf("PID 1 has the environment %q", got)
	}
	tasks, err := os.ReadDir(pid + "task")
	must(t, err)
	for _, task := range tasks {
		status, err := os.ReadFile(pid + "task/" + task.Name() + "/status")
		must(t, err)
		if field(string(status), "CapPrm") != "0000000000000000" || field(string(status), "Seccomp") != "2" ||
			field(string(status), "NoNewPrivs") != "1" || !strings.HasPrefix(field(string(status), "Uid"), fmt.Sprint(testUID)) {
			t.Errorf("thread %s of PID 1 kept something:\n%s", task.Name(), status)
		}
	}
	x, out := execIn(t, h, p, ExecSpec{UID: testUID, GID: testUID, Argv: []string{"/bin/sh", "-c",
		"for f in environ maps mem; do cat /proc/1/$f >/dev/null && echo read $f; done; ls /proc/1/fd /proc/1/root /proc/1/cwd; true"}, Env: []string{"PATH=/usr/bin:/bin"}})
	if x.Status() != 0 || strings.Contains(out, "read ") || strings.Count(out, "ermission denied") != 6 {
		t.Errorf("PID 1 seen from inside: %v\n%s", x, out)
	}
}

func TestStartIsFast(t *testing.T) {
	h := newHost(t)
	const n = 20
	begin := time.Now()
	for range n {
		h.run(t, h.spec("true"))
	}
	t.Logf("true in a bottle: %v each", time.Since(begin)/n)
}

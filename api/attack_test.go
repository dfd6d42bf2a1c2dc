package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bottled/attack"
)

// outcome turns the wanted status into the error of a probe, and anything else into a failure.
func outcome(t *testing.T, status, answer string, want ...string) error {
	t.Helper()
	if status == "200 OK" {
		return nil
	}
	for _, w := range want {
		if strings.HasPrefix(status, w) {
			return errors.New(strings.TrimSpace(status + " " + answer))
		}
	}
	t.Errorf("refused otherwise than expected: %s %s", status, answer)
	return errors.New(status)
}

func TestAttackPeer(t *testing.T) {
	f := newFake()
	socket, log := serve(t, f)
	list := func(c syscall.Credential, want string) attack.Probe {
		return func(t *testing.T) error {
			status, answer := as(t, c, socket, "GET", "/v1/bottles", "")
			return outcome(t, status, answer, want)
		}
	}
	attack.Stopped(t, "A01", "a user outside the group calls", list(member(allowedUID), "-"), list(syscall.Credential{Uid: deniedUID, Gid: deniedUID}, "403"))
	if !strings.Contains(log.String(), fmt.Sprintf("uid=%d", deniedUID)) {
		t.Errorf("the log does not name the uid: %s", log)
	}
	attack.Stopped(t, "A01", "uid of a member, groups of none", list(syscall.Credential{Uid: allowedUID, Gid: testGroup}, "-"), list(syscall.Credential{Uid: allowedUID, Gid: allowedUID}, "403"))
	attack.Stopped(t, "A01", "root's gid without its uid", list(syscall.Credential{Uid: 0, Gid: 0}, "-"), list(syscall.Credential{Uid: deniedUID, Gid: 0, Groups: []uint32{0}}, "403"))

	member := member(allowedUID)
	from := func(flags uintptr, want string) attack.Probe {
		return func(t *testing.T) error {
			status, answer := asIn(t, &syscall.SysProcAttr{Credential: &member, Cloneflags: flags}, socket, "GET", "/v1/bottles", "")
			return outcome(t, status, answer, want)
		}
	}
	attack.Stopped(t, "A01", "a member calls from a namespace such as a bottle's", from(0, "-"), from(syscall.CLONE_NEWNET, "403"))
}

func TestAttackSocketMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	os.Chmod(filepath.Dir(filepath.Dir(path)), 0o755)
	os.Chmod(filepath.Dir(path), 0o755)
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	connect := func(uid uint32) attack.Probe {
		return func(t *testing.T) error {
			c := syscall.Credential{Uid: uid, Gid: uid}
			cmd := exec.Command(selfCopy)
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &c}
			cmd.Env = []string{"GORACE=atexit_sleep_ms=0", "BOTTLED_TEST_PEER=connect", "PEER_SOCKET=" + path}
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			if len(out) > 0 {
				return errors.New(string(out))
			}
			return nil
		}
	}
	attack.Stopped(t, "A01", "connect(2) by a user that the mode shuts out", connect(0), connect(deniedUID))
}

func init() {
	peers["connect"] = func() string {
		if _, err := net.Dial("unix", os.Getenv("PEER_SOCKET")); err != nil {
			return err.Error()
		}
		return ""
	}
}

// A connection keeps the rights of who opened it, whoever writes into it later.
func TestAttackInheritedConnection(t *testing.T) {
	f := newFake()
	socket, _ := serve(t, f)
	do(t, socket, "POST", "/v1/bottles", createBody) // root's

	// holder connects as uid and leaves the connection to this process, which is
	// root; its end comes when release is closed.
	holder := func(t *testing.T, uid uint32) (c *net.UnixConn, release func()) {
		pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		ours, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
		cred := member(uid)
		cmd := exec.Command(selfCopy)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &cred}
		cmd.Env = []string{"GORACE=atexit_sleep_ms=0", "BOTTLED_TEST_PEER=holder", "PEER_SOCKET=" + socket}
		cmd.ExtraFiles = []*os.File{theirs}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		theirs.Close()
		conn, err := net.FileConn(ours)
		ours.Close()
		if err != nil {
			t.Fatal(err)
		}
		oob := make([]byte, 64)
		_, n, _, _, err := conn.(*net.UnixConn).ReadMsgUnix(make([]byte, 1), oob)
		if err != nil {
			t.Fatal(err)
		}
		files, err := filesOf(oob[:n])
		if err != nil || len(files) != 1 {
			t.Fatalf("%v %v", files, err)
		}
		got, err := net.FileConn(files[0])
		closeFiles(files)
		if err != nil {
			t.Fatal(err)
		}
		return got.(*net.UnixConn), func() { conn.Close(); cmd.Wait() }
	}
	ask := func(t *testing.T, c *net.UnixConn) error {
		defer c.Close()
		c.SetDeadline(time.Now().Add(10 * time.Second))
		io.WriteString(c, request("GET", "/v1/bottles/b", ""))
		answer, _ := io.ReadAll(c)
		_, content, _ := strings.Cut(string(answer), "\r\n\r\n")
		return outcome(t, statusOf(string(answer)), content, "404", "403")
	}
	control := func(t *testing.T) error { return ask(t, dial(t, socket)) }
	attack.Stopped(t, "A03", "root writes into a connection of somebody else's", control, func(t *testing.T) error {
		c, release := holder(t, allowedUID)
		defer release()
		return ask(t, c)
	})
	attack.Stopped(t, "A03", "root opened it, has gone, and left it to another", func(t *testing.T) error {
		c, release := holder(t, 0)
		defer release()
		return ask(t, c)
	}, func(t *testing.T) error {
		c, release := holder(t, 0)
		release()
		return ask(t, c)
	})
}

func init() {
	peers["holder"] = func() string {
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
		io.Copy(io.Discard, back)
		return ""
	}
}

func TestAttackNames(t *testing.T) {
	f := newFake()
	socket, _ := serve(t, f)
	dir := t.TempDir()
	create := func(name string) attack.Probe {
		return func(t *testing.T) error {
			n, _ := json.Marshal(name)
			status, answer := do(t, socket, "POST", "/v1/bottles", fmt.Sprintf(`{"name":%s,"manifest":"v","command":["true"],"dir":%q}`, n, dir))
			return outcome(t, status, answer, "400")
		}
	}
	for i, name := range []string{"../x", "/abs", "a/b", ".", "..", strings.Repeat("a", 300), strings.Repeat("a", 64), "a\x00b", "a\n", "-rf", "bücher", "a%2fb",
		"Twin", "cgroup.procs", "$(id)", "a;b", "a b", "_x", "a.b", " a", "a\u200b"} {
		attack.Stopped(t, "A06", fmt.Sprintf("name %.20q", name), create(fmt.Sprintf("good-%d", i)), create(name))
	}
	inspect := func(ref string) attack.Probe {
		return func(t *testing.T) error {
			status, answer := do(t, socket, "GET", "/v1/bottles/"+ref, "")
			return outcome(t, status, answer, "400", "404")
		}
	}
	for _, ref := range []string{"..", "%2e%2e", "good-0%2f..", "good-0/../good-1", "/good-0", "good%2d0", "GOOD-0", "%00", "good-0/"} {
		attack.Stopped(t, "A06", fmt.Sprintf("reference %q", ref), inspect("good-0"), inspect(ref))
	}
}

func TestAttackNameTaken(t *testing.T) {
	f := newFake()
	socket, _ := serve(t, f)
	n := 0
	create := func(name string) attack.Probe {
		return func(t *testing.T) error {
			n++
			status, answer := as(t, member(otherUID), socket, "POST", "/v1/bottles", fmt.Sprintf(`{"name":%q,"manifest":"v","command":["true"],"dir":"/"}`, name))
			return outcome(t, status, answer, "409")
		}
	}
	if status, answer := as(t, member(allowedUID), socket, "POST", "/v1/bottles", createBody); status != "200 OK" {
		t.Fatal(status, answer)
	}
	attack.Stopped(t, "A07", "a second bottle takes the name of the first", create("another"), create("b"))
	if b := f.bottles["b"]; b.Owner != allowedUID {
		t.Errorf("the first was touched: %+v", b)
	}
}

func TestAttackPrivilegedFields(t *testing.T) {
	socket, _ := serve(t, newFake())
	n := 0
	create := func(c syscall.Credential, extra string) attack.Probe {
		return func(t *testing.T) error {
			n++
			body := fmt.Sprintf(`{"name":"n%d","manifest":"v","command":["true"],"dir":"/"%s}`, n, extra)
			status, answer := as(t, c, socket, "POST", "/v1/bottles", body)
			return outcome(t, status, answer, "403", "400")
		}
	}
	user, root := member(allowedUID), syscall.Credential{}
	plain := create(user, "")
	attack.Stopped(t, "A12", "a user picks another uid", create(root, `,"user":{"uid":71001,"gid":71001}`), create(user, `,"user":{"uid":71001,"gid":71001}`))
	attack.Stopped(t, "A12", "a user picks its own uid", plain, create(user, `,"user":{"uid":71000,"gid":71000}`))
	for _, u := range []string{`{"uid":0,"gid":5}`, `{"uid":5,"gid":0}`, `{"uid":5}`, `{"uid":4294967295,"gid":5}`, `{"uid":-1,"gid":5}`, `{"uid":4294967296,"gid":5}`} {
		attack.Stopped(t, "A12", "root picks "+u, create(root, `,"user":{"uid":5,"gid":5}`), create(root, `,"user":`+u))
	}
	for _, field := range []string{`"caps":["CAP_SYS_ADMIN"]`, `"netns":"host"`, `"mounts":["/"]`, `"devices":["/dev/mem"]`, `"uid":0`, `"cgroup":"/"`,
		`"rlimits":{}`, `"annotations":{}`, `"owner":0`, `"User":{"uid":5,"gid":5}`, `"env":["A=1","A=2"]`, `"env":["=x"]`, `"env":["A\u0000=1"]`} {
		attack.Stopped(t, "A12", "field "+field, plain, create(user, ","+field))
	}
}

func TestAttackForeignBottle(t *testing.T) {
	f := newFake()
	socket, _ := serve(t, f)
	if status, answer := as(t, member(allowedUID), socket, "POST", "/v1/bottles", createBody); status != "200 OK" {
		t.Fatal(status, answer)
	}
	for _, op := range []struct{ method, path, body string }{
		{"GET", "", ""}, {"GET", "/wait", ""}, {"POST", "/exec", `{"command":["id"]}`}, {"GET", "/exec/e1/wait", ""},
		{"POST", "/signal", `{"signal":9}`}, {"PUT", "/routes", `{"manifest":"v"}`},
	} {
		probe := func(uid uint32, ref string) attack.Probe {
			return func(t *testing.T) error {
				status, answer := as(t, member(uid), socket, op.method, "/v1/bottles/"+ref+op.path, op.body)
				return outcome(t, status, answer, "404")
			}
		}
		attack.Stopped(t, "A13", op.method+" "+op.path+" of another's bottle", probe(allowedUID, "b"), probe(otherUID, "b"))
		// What is there and what is not are told apart by nothing.
		foreign, missing := probe(otherUID, "b")(t), probe(otherUID, "x")(t)
		if strip(foreign, "b") != strip(missing, "x") {
			t.Errorf("answers differ: %v / %v", foreign, missing)
		}
	}
	// Stop answers alike too, and does nothing.
	s1, a1 := as(t, member(otherUID), socket, "POST", "/v1/bottles/b/stop", "{}")
	s2, a2 := as(t, member(otherUID), socket, "POST", "/v1/bottles/x/stop", "{}")
	if s1 != s2 || a1 != a2 || strings.Contains(strings.Join(f.calls, "\n"), "stop") {
		t.Errorf("stop: %s %s / %s %s; %q", s1, a1, s2, a2, f.calls)
	}
	if _, answer := as(t, member(otherUID), socket, "GET", "/v1/bottles", ""); strings.TrimSpace(answer) != "[]" {
		t.Errorf("list: %s", answer)
	}
}

// strip takes out what differs by nature: the name asked for and the request id.
func strip(err error, ref string) string {
	text, _, _ := strings.Cut(err.Error(), `"request_id"`)
	return strings.ReplaceAll(text, `\"`+ref, `\"REF`)
}

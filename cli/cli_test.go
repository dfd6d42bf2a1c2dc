package cli

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/user"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bottled/api"
	"bottled/routes"
)

func TestEnvironment(t *testing.T) {
	a := &App{Environ: []string{"PATH=/bin", "LC_ALL=C", "TERM=dumb", "AWS_SECRET=x", "GH_PAT=secret", "HOME=/root", "SSH_AUTH_SOCK=/s", "MINE=1"}}
	refs := []routes.TokenRef{{Kind: routes.TokenEnv, Value: "GH_PAT"}}
	env, err := a.environment([]string{"MINE", "TERM=xterm", "A=b=c"}, map[string]string{"PATH": "/opt", "GH_PAT": "oops"}, refs, &user.User{Username: "u", HomeDir: "/home/u"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"A=b=c", "HOME=/home/u", "LC_ALL=C", "LOGNAME=u", "MINE=1", "PATH=/opt", "TERM=xterm", "USER=u"}
	if !slices.Equal(env, want) {
		t.Errorf("%q\nwant %q", env, want)
	}
	for _, asked := range []string{"GH_PAT", "GH_PAT=x", "UNSET", "=x", ""} {
		if env, err := a.environment([]string{asked}, nil, refs, nil); err == nil {
			t.Errorf("--env %q: %q", asked, env)
		}
	}
}

func TestTokensAreToldAllAtOnce(t *testing.T) {
	a := &App{Environ: []string{"EMPTY=", "GOOD=x"}}
	ref := func(name string) routes.TokenRef { return routes.TokenRef{Kind: routes.TokenEnv, Value: name} }
	_, err := a.tokens([]routes.TokenRef{ref("UNSET"), ref("EMPTY"), ref("GOOD")})
	if err == nil || !strings.Contains(err.Error(), "UNSET is not set") || !strings.Contains(err.Error(), "will not inject an empty token") {
		t.Errorf("%v", err)
	}
	got, err := a.tokens([]routes.TokenRef{ref("GOOD"), {Kind: routes.TokenFile, Value: "/etc/token"}})
	if err != nil || len(got) != 1 || got["GOOD"] != "x" {
		t.Errorf("%v %v", got, err)
	}
}

func TestStatus(t *testing.T) {
	for want, e := range map[int]api.Exit{0: {}, 7: {Code: 7}, 143: {Signal: 15}, 137: {Code: 137, Signal: 9}} {
		if got := status(e); got != want {
			t.Errorf("%+v: %d", e, got)
		}
	}
}

// pipesFor relays between files that the test holds.
func pipesFor(t *testing.T) (p *pipes, in *os.File, out func() string) {
	t.Helper()
	stdin, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	p, err = newPipes(stdin, stdout, stdout)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.close(); in.Close(); stdin.Close(); stdout.Close() })
	return p, in, func() string { b, _ := os.ReadFile(stdout.Name()); return string(b) }
}

func TestPipesCarryEverything(t *testing.T) {
	p, in, out := pipesFor(t)
	if flags, err := unix.FcntlInt(p.far[1].Fd(), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 {
		t.Errorf("the command's standard output is non-blocking: %#x, %v", flags, err)
	}
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	// The command: cat.
	go func() {
		io.Copy(p.far[1], p.far[0])
		p.handedOver()
		cancel()
	}()
	go func() { in.Write(data); in.Close() }()
	if err := p.relay(ctx); err != nil {
		t.Fatal(err)
	}
	if out() != string(data) {
		t.Errorf("%d of %d bytes", len(out()), len(data))
	}
}

// A command that ends does not wait for input that never comes, and one that left
// something behind with its pipe does not hold its client.
func TestPipesEndWithTheCommand(t *testing.T) {
	p, _, out := pipesFor(t)
	ctx, cancel := context.WithCancel(context.Background())
	p.far[1].WriteString("last words")
	cancel() // the far ends stay open
	began := time.Now()
	if err := p.relay(ctx); err != nil {
		t.Fatal(err)
	}
	if out() != "last words" || time.Since(began) > 5*time.Second {
		t.Errorf("%q after %v", out(), time.Since(began))
	}
}

func TestInputStopsWhenTheCommandClosesIt(t *testing.T) {
	p, in, _ := pipesFor(t)
	done := make(chan struct{})
	go func() { copyInput(p.near[0], p.ours[0]); close(done) }()
	p.far[0].Close()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("still copying")
	}
	in.WriteString("for the next one")
	buf := make([]byte, 64)
	if n, _ := p.ours[0].Read(buf); string(buf[:n]) != "for the next one" {
		t.Errorf("the next program reads %q", buf[:n])
	}
}

func TestWordsOfOthersCannotMoveTheCursor(t *testing.T) {
	for _, argv := range [][]string{{"a b"}, {"\x1b[2J"}, {"x\ny"}, {""}, {"\u202e"}} {
		if s := commandLine(argv); strings.ContainsAny(s, "\x1b\n") || s == argv[0] {
			t.Errorf("%q is shown as %s", argv, s)
		}
	}
	if s := commandLine([]string{"go", "build", "./..."}); s != "go build ./..." {
		t.Error(s)
	}
}

// Completion and the manual know every command and every flag that the help texts tell of.
func TestCompletionAndManualAreComplete(t *testing.T) {
	manual, err := os.ReadFile("../docs/bottled.1")
	if err != nil {
		t.Fatal(err)
	}
	// What stands before a command's name, and before a flag's.
	texts := map[string]struct{ text, command, flag string }{
		"bash": {completionBash, "", "--"}, "zsh": {completionZsh, "", "--"}, "fish": {completionFish, "", "-l "},
		"the manual": {string(manual), "Cm ", "Fl -"},
	}
	flag := regexp.MustCompile(`(?m)--([a-z-]+)`)
	for _, c := range commands() {
		for name, in := range texts {
			if !strings.Contains(in.text, in.command+c.name) {
				t.Errorf("%s does not know %s", name, c.name)
			}
			for _, m := range flag.FindAllStringSubmatch(c.usage, -1) {
				if !strings.Contains(in.text, in.flag+m[1]) {
					t.Errorf("%s does not know %s --%s", name, c.name, m[1])
				}
			}
		}
	}
}

func TestQueryKeepsThePath(t *testing.T) {
	q, err := query("GET", "https://API.example.com/a/../%2e/b?x=1#frag")
	if err != nil || q.Target != "/a/../%2e/b?x=1" || q.Authority.String() != "api.example.com:443" || q.SNI.String() != "api.example.com" {
		t.Errorf("%+v %v", q, err)
	}
	for _, bad := range []string{"ftp://x/", "https://user@x/", "https://x:/", "https:///", ""} {
		if q, err := query("GET", bad); err == nil {
			t.Errorf("%q: %+v", bad, q)
		}
	}
}

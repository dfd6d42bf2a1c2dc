package bottle

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"bottled/launch/filesystem"
	"bottled/launch/identity"
	"bottled/proposal"
	"bottled/routes"
	"bottled/secret"
)

// plan is what a bottle will be: worked out from what was asked, without touching
// the host. It holds names of tokens and no token.
type plan struct {
	name     string
	identity Identity
	mapped   bool // the identity is made up from the cgroup's id at the start
	user     string
	home     string
	command  []string
	dir      string
	env      []string // what was asked for, before what the trust store adds
	terminal bool
	attached bool

	manifest   []byte
	settings   routes.Settings
	table      table
	upstreamCA []byte // PEM
}

// prepare works out the plan. Whatever is wrong with the request is found here,
// before anything changes.
func prepare(c Caller, o CreateOptions) (*plan, error) {
	p := &plan{name: o.Name, command: o.Command, dir: o.Dir, manifest: o.Manifest, terminal: o.Terminal, attached: o.Attached}
	if p.name == "" {
		p.name = "b-" + newID()[:8]
	}
	if err := checkName(p.name); err != nil {
		return nil, err
	}
	if len(o.Command) == 0 || o.Command[0] == "" {
		return nil, fmt.Errorf("%w: no command was given", ErrInvalid)
	}
	if !filepath.IsAbs(o.Dir) {
		return nil, fmt.Errorf("%w: the working directory %q is not an absolute path", ErrInvalid, o.Dir)
	}
	var err error
	if p.identity, p.mapped, err = runAs(c, o.User); err != nil {
		return nil, err
	}
	p.user, p.home = account(p.identity.UID, p.mapped)
	if err := p.readManifest(o); err != nil {
		return nil, err
	}
	return p, p.environment(o)
}

// table is what a manifest comes to for the enforcer.
type table struct {
	manifest  *routes.Manifest // with what was granted
	effective *routes.Effective
	rendered  []byte // routes file
	count     int    // of routes
	slots     []routes.Slot
	chain     chain
}

// refs are the token references, in the order of their slots.
func (t table) refs() []string {
	var refs []string
	for _, s := range t.slots {
		refs = append(refs, s.Ref.String())
	}
	return refs
}

// readTable reads a manifest and adds what was granted since it was written.
func readTable(name string, text []byte, granted ...proposal.Proposal) (table, error) {
	m, err := routes.ParseManifest(name, text)
	if err != nil {
		return table{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	for _, p := range granted {
		if err := grant(m, p); err != nil {
			return table{}, err
		}
	}
	effective, err := m.Effective()
	if err != nil {
		return table{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	rendered, err := routes.Render(effective.Routes)
	if err != nil {
		return table{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return table{
		manifest: m, effective: effective, rendered: rendered, count: len(effective.Routes), slots: effective.Slots,
		chain: chain{proxy: m.UpstreamProxy},
	}, nil
}

// contents returns the certificates that a manifest gives, or names the file of.
// files holds what the paths in it lead to on the launching side: the daemon opens
// none of them, because it could read more than who wrote them.
func contents(p routes.PEM, files map[string][]byte) ([]byte, error) {
	if p.Path == "" {
		return []byte(p.Inline), nil
	}
	text, ok := files[p.Path]
	if !ok {
		return nil, fmt.Errorf("the file %q was not sent along; put the certificate itself into the manifest", p.Path)
	}
	read, err := routes.ParsePEM(string(text))
	if err != nil {
		return nil, fmt.Errorf("file %q: %w", p.Path, err)
	}
	if read.Inline == "" {
		return nil, fmt.Errorf("file %q holds no certificate in PEM form", p.Path)
	}
	return []byte(read.Inline), nil
}

func (p *plan) readManifest(o CreateOptions) error {
	t, err := readTable(o.ManifestName, o.Manifest)
	if err != nil {
		return err
	}
	if p.upstreamCA, err = contents(t.manifest.UpstreamCA, o.Files); err != nil {
		return fmt.Errorf("%w: upstream_ca: %w", ErrInvalid, err)
	}
	if err := t.chain.read(o.Files); err != nil {
		return err
	}
	p.settings, p.table = t.manifest.Bottle, t
	p.settings.Env = maps.Clone(p.settings.Env)
	for _, r := range t.manifest.Routes {
		for _, role := range r.Roles {
			for _, name := range role.Env {
				if p.settings.Env == nil {
					p.settings.Env = make(map[string]string)
				}
				p.settings.Env[name] = routes.Placeholder
			}
		}
	}
	for _, list := range [][]string{p.settings.Writable, p.settings.Hidden} {
		for i, path := range list {
			if rest, ok := strings.CutPrefix(path, "~/"); ok {
				list[i] = filepath.Join(p.home, rest)
			}
		}
	}
	return nil
}

// complete refuses a plan in which a token that a route needs has no value, and an
// environment that holds one: then the bottle could read what it must not see.
func (p *plan) complete(tokens map[string]secret.Token) error {
	if err := onlyOwn(tokens); err != nil {
		return err
	}
	for _, ref := range p.table.refs() {
		if secret.IsHeld(ref) {
			continue // nobody can pass on what nobody but the operator reads
		}
		t, ok := tokens[ref]
		if !ok || t.IsZero() {
			return fmt.Errorf("%w: token_ref %q has no value: set the variable %s in the environment of `bottled run`, or remove the auth block", ErrInvalid, ref, ref)
		}
		for _, kv := range p.env {
			name, value, _ := strings.Cut(kv, "=")
			if strings.Contains(value, t.Reveal()) {
				return fmt.Errorf("%w: the variable %s would show the value of token_ref %q to the bottle: do not pass it", ErrInvalid, name, ref)
			}
		}
	}
	return nil
}

// record is what is written down of the plan.
func (p *plan) record(c Caller, id string, created time.Time) record {
	r := record{
		Version: recordVersion, ID: id, Name: p.name, Owner: c.UID, User: p.identity, Home: p.home,
		Command: p.command, Dir: p.dir, Env: p.env, Terminal: p.terminal, Attached: p.attached, Created: created,
		Manifest: p.manifest, Generation: 1, UserNamespaces: p.settings.UserNamespaces, UpstreamCA: digest(p.upstreamCA),
		Chain: p.table.chain.settled(),
	}
	r.inForce(c.subject(), p.table)
	return r
}

// environment is the command's: what a program expects to find, what the manifest
// sets, and what the caller passed, which counts most but for who one is.
func (p *plan) environment(o CreateOptions) error {
	for _, kv := range o.Env {
		if name, _, ok := strings.Cut(kv, "="); !ok || name == "" || strings.ContainsRune(kv, 0) {
			return fmt.Errorf("%w: environment: %q is not NAME=value", ErrInvalid, kv)
		}
	}
	base := []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"LANG=C.UTF-8",
	}
	identity := []string{"HOME=" + p.home, "USER=" + p.user, "LOGNAME=" + p.user, "BOTTLED=" + p.name}
	var set []string
	for _, name := range slices.Sorted(maps.Keys(p.settings.Env)) {
		set = append(set, name+"="+p.settings.Env[name])
	}
	p.env = merge(base, set, o.Env, identity)
	return nil
}

// checkDir refuses a working directory that the bottle's user could not be in, where that
// user is one made up for root: which one it will be does not matter, all are strangers
// to the host. Of others' directories the first process finds it out.
func (p *plan) checkDir() error {
	if !p.mapped || filepath.Clean(p.dir) == p.home {
		return nil
	}
	stranger := mappedID(0)
	if err := filesystem.CheckEntry(filepath.Clean(p.dir), identity.Identity{UID: stranger.UID, GID: stranger.GID}, true); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

// lookup is the environment as a function, for what depends on it.
func (p *plan) lookup(name string) (string, bool) {
	for _, kv := range p.env {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			return value, true
		}
	}
	return "", false
}

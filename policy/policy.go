package policy

import (
	"context"
	"fmt"
	"time"

	"bottled/routes"
	"bottled/secret"
	"bottled/strict"
)

// A Policy is the operator's floor. It is safe for concurrent use; the zero Policy
// and nil refuse everything.
type Policy struct {
	launch   who
	launchAt place // of the rule; zero if there is none
	never    []forbidden
	may      may
	classes  []class
	limits   limits
	tokens   map[string]token // by reference
	store    secret.Store
	chain    chain
}

// place is where a rule stands, for the message of a refusal.
type place struct {
	file string
	line int
	key  string
}

// String is as in "/etc/bottled/policy.yaml:7: hosts.never[0]".
func (p place) String() string {
	if p.line == 0 {
		return fmt.Sprintf("%s: %s", p.file, p.key)
	}
	return fmt.Sprintf("%s:%d: %s", p.file, p.line, p.key)
}

// may is who may use what not every operator wants.
type may struct {
	file                                         string
	lines                                        map[string]int
	allowPrivate, addresses, tcp, tlsPassthrough who
	upstreamCA, upstreamProxy, userNamespaces    who
	dlp                                          who // less scanning than by default
}

func (m may) place(key string) place { return place{m.file, m.lines[key], "may." + key} }

func readMay(r *strict.Reader, n *strict.Node, file string) may {
	keys := []string{"allow_private", "addresses", "dlp", "tcp", "tls_passthrough", "upstream_ca", "upstream_proxy", "user_namespaces"}
	v := r.Object(n, "may", keys...)
	get := func(key string) who { return leave(r, v[key], "may."+key) }
	m := may{
		file: file, lines: make(map[string]int),
		allowPrivate: get("allow_private"), addresses: get("addresses"), tcp: get("tcp"), tlsPassthrough: get("tls_passthrough"),
		upstreamCA: get("upstream_ca"), upstreamProxy: get("upstream_proxy"), userNamespaces: get("user_namespaces"),
		dlp: get("dlp"),
	}
	for key, value := range v {
		if value != nil {
			m.lines[key] = value.Line
		}
	}
	return m
}

// Default is the floor of a host without a policy file: whoever can open the socket
// may launch, up to 64 bottles each and 1024 in all, nothing is forbidden beside
// what always is, every route is asked about, and the operator holds no token.
func Default() *Policy {
	p, err := Parse("the default policy", []byte("version: 1\n"))
	if err != nil {
		panic(err) // it is a constant
	}
	return p
}

// Parse reads a policy in YAML or JSON. It is as strict as a manifest's parser, and
// its error is a [strict.Problems]. A section that is not there is as in [Default].
// Names of users and groups are looked up on this host, and must be there.
//
// It opens no file and fetches no token.
func Parse(name string, data []byte) (*Policy, error) { return parsePolicy(name, data, nil) }

// parsePolicy is [Parse] that opens the files which a policy names with read.
func parsePolicy(name string, data []byte, read func(path string) ([]byte, error)) (*Policy, error) {
	r := strict.New(name, "policy")
	n := r.YAML(data)
	if err := r.Err(); err != nil {
		return nil, err
	}
	v := r.Object(n, "", "version", "launch", "hosts", "may", "upstream_proxy", "approve", "limits", "tokens")
	r.Version(n, v)
	p := &Policy{launch: who{everybody: true}}
	if l := v["launch"]; l != nil {
		p.launch = who{listed: named(r, l, r.Object(l, "launch", "users", "groups"), "launch")}
		p.launch.listed.Users = append(p.launch.listed.Users, 0) // root rules the host anyway
		p.launchAt = place{name, l.Line, "launch"}
	}
	hosts := r.Object(v["hosts"], "hosts", "never")
	p.never = strict.ParsedList(r, hosts["never"], "hosts.never", parseForbidden)
	for i, item := range r.List(hosts["never"], "hosts.never") {
		if i < len(p.never) { // fewer after a problem
			p.never[i].place = place{name, item.Line, strict.Index("hosts.never", i)}
		}
	}
	p.may = readMay(r, v["may"], name)
	p.classes = classes(r, v["approve"], name)
	p.limits = readLimits(r, v["limits"], name)
	p.chain = readChain(r, v["upstream_proxy"], name, read)
	p.tokens = tokens(r, v["tokens"], name, &p.store)
	if err := r.Err(); err != nil {
		return nil, err
	}
	return p, nil
}

// Bottles returns how many bottles may run at once: of the subject, and in all.
// Root has no limit of its own.
func (p *Policy) Bottles(s Subject) (own, total int) {
	if p == nil {
		return 0, 0
	}
	return p.limits.of(s), p.limits.total
}

// Limits returns the ceiling of what each bottle may use.
func (p *Policy) Limits() routes.Limits {
	if p == nil {
		return routes.Limits{} // and nobody may launch
	}
	return p.limits.bottle
}

// Token fetches a secret that the operator holds, for a subject who may use it, and
// says when it expires; the zero time is never. One that came from a command and
// was fetched before is given out as long as it lives for spare more.
//
// Where it may be sent is [Policy.Check]'s to say, and asked first.
func (p *Policy) Token(ctx context.Context, s Subject, ref string, spare time.Duration) (secret.Token, time.Time, error) {
	if p == nil {
		return secret.Token{}, time.Time{}, errNoPolicy
	}
	return p.store.Lease(ctx, ref, s.UID, s.Groups, spare)
}

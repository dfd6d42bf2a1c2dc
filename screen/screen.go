// Package screen puts the scanner of package dlp into the data plane: it is the
// [proxy.Scanner] of a bottle.
//
// A [Screen] knows how the manifest wants the bottle scanned, and what its routes
// say beside that. From these and the bottle's tokens it compiles engines, one for
// each mode in use, when the first request needs one: a bottle that sends nothing
// pays nothing.
//
// What a mode means:
//
//	block   rules of high confidence refuse, generic ones are written down (default)
//	redact  high confidence overwrites the match with asterisks where it can, else
//	        refuses; generic ones are written down
//	warn    both are written down
//
// The bottle's own tokens are refused in every mode: they leave where they are
// injected, which is after the scan, and nowhere else. A rule that is exempt is as
// if it were not there, and so is the one match of a rule whose fingerprint is; no
// exemption reaches a token.
package screen

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"bottled/dlp"
	"bottled/dlp/rules"
	"bottled/proxy"
	"bottled/routes"
	"bottled/secret"
)

// Screen is the scanner of one bottle. It is safe for concurrent use.
type Screen struct {
	policy  routes.DLP
	limits  dlp.Limits
	key     []byte // of fingerprints: the same for all engines
	trails  trails
	updates sync.Mutex
	now     atomic.Pointer[ruling]
}

// ruling is what is looked for at a time, and what passes.
type ruling struct {
	secrets []dlp.Secret
	exempt  []dlp.Exemption
	engines map[routes.DLPMode]func() (*dlp.Engine, error)
}

// New returns a Screen that scans as the manifest says for the bottle. Zero fields
// of limits take their defaults. key is that of the fingerprints: without it they
// tell nobody anything. Empty: a random one. It compiles nothing yet.
func New(policy routes.DLP, limits dlp.Limits, key []byte) *Screen {
	s := &Screen{policy: policy, limits: limits, key: slices.Clone(key)}
	if len(s.key) == 0 {
		s.key = make([]byte, 32)
		rand.Read(s.key)
	}
	if s.policy.Mode == "" {
		s.policy.Mode = routes.DLPBlock
	}
	s.Use(nil, nil)
	return s
}

// Use says which table is in force and which tokens, by slot. Requests that are
// under way are judged by what was in force when they began.
//
// A token of less than [dlp.MinSecret] bytes is not looked for: it would be found
// everywhere.
func (s *Screen) Use(table *routes.Table, tokens map[string]secret.Token) {
	next := &ruling{engines: map[routes.DLPMode]func() (*dlp.Engine, error){}}
	for _, slot := range slices.Sorted(maps.Keys(tokens)) {
		if value := tokens[slot].Reveal(); len(value) >= dlp.MinSecret {
			next.secrets = append(next.secrets, dlp.Secret{Name: slot, Value: value})
		}
	}
	for _, e := range s.policy.Exempt {
		next.exempt = append(next.exempt, dlp.Exemption{Rule: e.Rule, Fingerprint: e.Fingerprint})
	}
	seen := map[string]bool{}
	for _, r := range table.Routes() {
		if name := exemptions(r); name != "" && !seen[name] {
			seen[name] = true
			for _, e := range r.DLP.Exempt {
				next.exempt = append(next.exempt, dlp.Exemption{Rule: e.Rule, Fingerprint: e.Fingerprint, Route: name})
			}
		}
	}
	s.updates.Lock()
	defer s.updates.Unlock()
	if old := s.now.Load(); old != nil && slices.Equal(old.secrets, next.secrets) && slices.Equal(old.exempt, next.exempt) {
		return // and keep what was compiled
	}
	for _, mode := range []routes.DLPMode{routes.DLPBlock, routes.DLPRedact, routes.DLPWarn} {
		next.engines[mode] = sync.OnceValues(func() (*dlp.Engine, error) { return s.compile(next, mode) })
	}
	s.now.Store(next)
}

// exemptions is how routes with these exemptions are known to an engine: those
// with the same ones are the same to it. Empty: there are none.
func exemptions(r *routes.Route) string {
	if r == nil || r.DLP == nil || len(r.DLP.Exempt) == 0 {
		return ""
	}
	var names []string
	for _, e := range r.DLP.Exempt {
		names = append(names, e.String())
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// compile takes some 40 ms, of which a third is paid once, and leaves 4 MiB.
func (s *Screen) compile(r *ruling, mode routes.DLPMode) (*dlp.Engine, error) {
	all, err := rules.Load()
	if err != nil {
		return nil, err
	}
	modes := map[string]dlp.Mode{}
	for i := range all {
		switch {
		case all[i].Class != rules.High:
		case mode == routes.DLPRedact:
			modes[all[i].ID] = dlp.Redact
		case mode == routes.DLPWarn:
			modes[all[i].ID] = dlp.Warn
		}
	}
	e, err := dlp.New(dlp.Options{Secrets: r.secrets, Modes: modes, Exempt: r.exempt, Key: s.key, Limits: s.limits})
	if err != nil {
		return nil, fmt.Errorf("screen: %w", err)
	}
	go debug.FreeOSMemory() // compiling leaves more garbage behind than a worker needs for the rest of its life
	return e, nil
}

// Scan implements [proxy.Scanner].
func (s *Screen) Scan(q routes.Query, route *routes.Route, header http.Header) (proxy.Scan, *proxy.Blocked) {
	mode, unreadable := s.policy.Mode, s.policy.Unreadable
	if route != nil && route.DLP != nil {
		mode, unreadable = cmp.Or(route.DLP.Mode, mode), cmp.Or(route.DLP.Unreadable, unreadable)
	}
	compile, ok := s.now.Load().engines[mode]
	if !ok {
		return nil, unable
	}
	engine, err := compile()
	if err != nil {
		return nil, unable
	}
	c := &scan{
		scan:        engine.Scan(exemptions(route)),
		contentType: strings.Join(header["Content-Type"], ","), encoding: strings.Join(header["Content-Encoding"], ","),
		unreadable: unreadable == routes.DLPWarn,
	}
	if route != nil {
		c.scan.After(s.trails.of(route.Host))
	}
	if blocked := c.head(q, header); blocked != nil {
		c.Close()
		return nil, blocked
	}
	return c, nil
}

// unable refuses what nothing can judge.
var unable = &proxy.Blocked{Finding: proxy.Finding{Rule: "scanner-unavailable"}, Detail: "the scanner of this bottle could not be prepared; nothing leaves unjudged"}

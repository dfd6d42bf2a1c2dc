package proposal

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"bottled/routes"
)

// An Exemption lets pass what a rule of the scanner stops: every match of the rule
// on all routes to a host, or one match on one route.
type Exemption struct {
	Rule string // id of the rule, as in the refusal
	Host routes.Pattern

	// Of one match: its fingerprint, the request that was refused for it, and what,
	// beside Host, tells its route from others. Else all of them are zero.
	Fingerprint string
	RequestID   string
	Paths       []routes.PathPattern // sorted; none means every path
	Methods     []string             // sorted; none means every usual method
	Ports       []uint16             // sorted; none means the usual ones
}

// A Match is what a request was refused for, as the enforcer knows it. The agent
// knows its RequestID alone.
type Match struct {
	RequestID   string
	Rule        string
	Fingerprint string
	Route       *routes.Route
}

// ForExemption proposes to exempt every match of a rule. Its errors speak to the
// agent that asks.
func ForExemption(rule, host, reason string) (Proposal, error) {
	return wire{Kind: KindExemption, Rule: rule, Host: host, Reason: reason}.forExemption()
}

// ForMatch proposes to exempt one match on the route on which it was refused. Its
// errors speak to the agent that asks.
func ForMatch(m Match, reason string) (Proposal, error) {
	if m.Route == nil || m.Fingerprint == "" || m.RequestID == "" {
		return Proposal{}, errors.New("request_id: nothing was found in that request that could be exempted")
	}
	w := wire{
		Kind: KindExemption, Rule: m.Rule, Host: m.Route.Host.String(), Methods: sorted(m.Route.Methods),
		Fingerprint: m.Fingerprint, RequestID: m.RequestID, Reason: reason,
	}
	for _, p := range m.Route.Paths {
		w.Paths = append(w.Paths, p.String())
	}
	w.Paths, w.Ports = sorted(w.Paths), slices.Sorted(slices.Values(m.Route.Ports))
	return w.forExemption()
}

// forExemption makes the proposal that w describes.
func (w wire) forExemption() (Proposal, error) {
	e := Exemption{Fingerprint: w.Fingerprint, RequestID: w.RequestID, Ports: w.Ports}
	var err error
	if e.Rule, err = routes.ParseRuleID(w.Rule); err != nil {
		return Proposal{}, fmt.Errorf("rule: %w; repeat the field rule of the refusal, and note that what could not be judged at all cannot be exempted", err)
	}
	if e.Host, err = routes.ParsePattern(w.Host); err != nil {
		return Proposal{}, fmt.Errorf("host: %w", err)
	}
	if (w.Fingerprint == "") != (w.RequestID == "") || w.Fingerprint == "" && len(w.Paths)+len(w.Methods)+len(w.Ports) > 0 {
		return Proposal{}, errors.New("an exemption is of one match of one request, or of a whole rule")
	}
	if w.Fingerprint != "" {
		if err := (routes.Exemption{Rule: e.Rule, Fingerprint: w.Fingerprint}).Check(); err != nil {
			return Proposal{}, err
		}
		if !asciiToken(w.RequestID, 64) {
			return Proposal{}, fmt.Errorf("request_id: %q is not one: repeat the field request_id of the refusal", clip(w.RequestID))
		}
	}
	if e.Paths, err = parsePaths(w.Paths); err != nil {
		return Proposal{}, fmt.Errorf("the route cannot be shown whole (%w): the operator can exempt the match in the manifest", err)
	}
	if len(w.Methods) > maxMethods || len(w.Ports) > maxPorts || !slices.IsSorted(w.Ports) || slices.Contains(w.Ports, 0) {
		return Proposal{}, errors.New("the route has more methods or ports than can be shown: the operator can exempt the match in the manifest")
	}
	for _, s := range sorted(w.Methods) {
		method, err := routes.ParseMethod(s)
		if err != nil {
			return Proposal{}, fmt.Errorf("methods: %w", err)
		}
		e.Methods = append(e.Methods, method)
	}
	why, err := parseReason(w.Reason)
	if err != nil {
		return Proposal{}, err
	}
	return Proposal{kind: KindExemption, exemption: e, reason: why}, nil
}

// On reports whether r is the route of the one match that is exempted.
func (e Exemption) On(r *routes.Route) bool {
	other, err := ForMatch(Match{RequestID: e.RequestID, Rule: e.Rule, Fingerprint: e.Fingerprint, Route: r}, "the same")
	if err != nil || r.Protocol != routes.HTTP || r.AnyPath != (len(e.Paths) == 0) {
		return false
	}
	o := other.exemption
	return o.Host == e.Host && slices.EqualFunc(o.Paths, e.Paths, samePath) && slices.Equal(o.Methods, e.Methods) && slices.Equal(o.Ports, e.Ports)
}

func samePath(a, b routes.PathPattern) bool { return a.String() == b.String() }

// String returns the whole exemption in one line of ASCII.
func (e Exemption) String() string {
	if e.Fingerprint == "" {
		return fmt.Sprintf("exemption from rule %s to %s: every match", e.Rule, e.Host)
	}
	route := Route{Host: e.Host, Paths: e.Paths, Methods: e.Methods}.String()
	if len(e.Ports) > 0 {
		route += " of port " + strings.Trim(fmt.Sprint(e.Ports), "[]")
	}
	return fmt.Sprintf("exemption from rule %s: match %s alone, of request %s, on the %s", e.Rule, e.Fingerprint, e.RequestID, route)
}

// forAgent is String without what the agent is not told.
func (e Exemption) forAgent() string {
	if e.Fingerprint == "" {
		return e.String()
	}
	return fmt.Sprintf("exemption from rule %s to %s: what request %s was refused for", e.Rule, e.Host, e.RequestID)
}

package proposal

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
)

// A Proposal is one thing that an agent asks for, in canonical form. It is
// immutable. The zero Proposal asks for nothing and is refused everywhere.
type Proposal struct {
	kind       Kind
	route      Route
	exemption  Exemption
	capability Capability
	reason     string
}

// Kind returns what the proposal is about; zero for the zero Proposal.
func (p Proposal) Kind() Kind { return p.kind }

// Route returns the route that is asked for. It is false for other kinds.
func (p Proposal) Route() (Route, bool) { return p.route, p.kind == KindRoute }

// Exemption returns the exemption that is asked for. It is false for other kinds.
func (p Proposal) Exemption() (Exemption, bool) { return p.exemption, p.kind == KindExemption }

// Capability returns the change that is asked for. It is false for other kinds.
func (p Proposal) Capability() (Capability, bool) { return p.capability, p.kind == KindCapability }

// Reason returns why the agent wants it: free text of the agent, one line.
func (p Proposal) Reason() string { return p.reason }

// String returns all that would be granted, and nothing of the reason, in one
// line. It is ASCII, but for the text of a capability.
func (p Proposal) String() string {
	switch p.kind {
	case KindRoute:
		return p.route.String()
	case KindExemption:
		return p.exemption.String()
	case KindCapability:
		return p.capability.String()
	}
	return "nothing"
}

// ForAgent returns what String does but for what the agent is not to know: the
// fingerprint of a match.
func (p Proposal) ForAgent() string {
	if p.kind == KindExemption {
		return p.exemption.forAgent()
	}
	return p.String()
}

// ID names what is asked for: 32 hex digits, equal for two proposals that would
// be granted in the same way, whatever reason they give.
func (p Proposal) ID() string {
	p.reason, p.exemption.RequestID = "", ""
	sum := p.sum("id")
	return hex.EncodeToString(sum[:16])
}

// Digest names all that a person is shown: 64 hex digits.
func (p Proposal) Digest() string {
	sum := p.sum("digest")
	return hex.EncodeToString(sum[:])
}

func (p Proposal) sum(purpose string) [sha256.Size]byte {
	text, err := json.Marshal(p.wire())
	if err != nil && p.kind != 0 { // strings only: cannot fail but for the zero Kind
		panic(err)
	}
	return sha256.Sum256(append([]byte("bottled proposal 1 "+purpose+"\n"), text...))
}

// wire is the JSON of a proposal.
type wire struct {
	Kind        Kind     `json:"kind"`
	Host        string   `json:"host,omitempty"`
	Paths       []string `json:"path_allowlist,omitempty"`
	Methods     []string `json:"methods,omitempty"`
	Ports       []uint16 `json:"ports,omitempty"`
	Rule        string   `json:"rule,omitempty"`
	Fingerprint string   `json:"fingerprint,omitempty"`
	RequestID   string   `json:"request_id,omitempty"`
	Area        string   `json:"area,omitempty"`
	Change      string   `json:"change,omitempty"`
	Reason      string   `json:"reason,omitempty"`
}

func (p Proposal) wire() wire {
	w := wire{Kind: p.kind, Reason: p.reason}
	switch p.kind {
	case KindRoute:
		w.Host, w.Methods = p.route.Host.String(), p.route.Methods
		for _, path := range p.route.Paths {
			w.Paths = append(w.Paths, path.String())
		}
	case KindExemption:
		e := p.exemption
		w.Rule, w.Host, w.Fingerprint, w.RequestID = e.Rule, e.Host.String(), e.Fingerprint, e.RequestID
		w.Methods, w.Ports = e.Methods, e.Ports
		for _, path := range e.Paths {
			w.Paths = append(w.Paths, path.String())
		}
	case KindCapability:
		w.Area, w.Change = p.capability.Area, p.capability.Change
	}
	return w
}

// MarshalJSON implements [json.Marshaler]. The zero Proposal is an error.
func (p Proposal) MarshalJSON() ([]byte, error) { return json.Marshal(p.wire()) }

// UnmarshalJSON implements [json.Unmarshaler]: strictly, and with all the checks
// of the constructors. On error p is the zero Proposal.
func (p *Proposal) UnmarshalJSON(text []byte) error {
	*p = Proposal{}
	var w wire
	if err := json.Unmarshal(text, &w); err != nil {
		return err
	}
	made, err := w.proposal()
	if err != nil {
		return err
	}
	if err := canonical(text, made); err != nil {
		return err
	}
	*p = made
	return nil
}

func (w wire) proposal() (Proposal, error) {
	switch w.Kind {
	case KindRoute:
		return ForRoute(w.Host, w.Paths, w.Methods, w.Reason)
	case KindExemption:
		return w.forExemption()
	case KindCapability:
		return ForCapability(w.Area, w.Change, w.Reason)
	}
	return Proposal{}, errors.New("proposal: it has no kind")
}

// errNoReason tells an agent what a person needs to decide.
var errNoReason = errors.New("the reason is empty: say in a sentence what you need it for, since a person decides")

// parseReason brings a reason into the form in which it is shown.
func parseReason(s string) (string, error) {
	if s = oneLine(s, maxText); s == "" {
		return "", errNoReason
	}
	return s, nil
}

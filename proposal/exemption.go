package proposal

import (
	"fmt"
	"strings"

	"bottled/routes"
)

// An Exemption lets pass what a rule of the scanner stops on the way to a host.
type Exemption struct {
	Rule        string // id of the rule, as in the refusal
	Host        routes.Pattern
	Fingerprint string // of the one match; "" exempts every match of the rule
	RequestID   string // of the refusal, to be looked up in the audit; grants nothing
}

// ForExemption proposes an exemption. fingerprint and requestID may be empty. Its
// errors speak to the agent that asks.
func ForExemption(rule, host, fingerprint, requestID, reason string) (Proposal, error) {
	if !asciiToken(rule, 128) {
		return Proposal{}, fmt.Errorf("rule: %q is not the id of a rule: repeat the field rule of the refusal, such as github-pat", clip(rule))
	}
	pattern, err := parseHost(host)
	if err != nil {
		return Proposal{}, err
	}
	if fingerprint != "" && (len(fingerprint) != 16 || strings.Trim(fingerprint, "0123456789abcdef") != "") {
		return Proposal{}, fmt.Errorf("fingerprint: %q is not one: repeat the 16 hex digits of the refusal, or leave it out", clip(fingerprint))
	}
	if requestID != "" && !asciiToken(requestID, 64) {
		return Proposal{}, fmt.Errorf("request_id: %q is not one: repeat the field request_id of the refusal, or leave it out", clip(requestID))
	}
	why, err := parseReason(reason)
	if err != nil {
		return Proposal{}, err
	}
	e := Exemption{Rule: rule, Host: pattern, Fingerprint: fingerprint, RequestID: requestID}
	return Proposal{kind: KindExemption, exemption: e, reason: why}, nil
}

// String returns the whole exemption in one line of ASCII.
func (e Exemption) String() string {
	which := "every match"
	if e.Fingerprint != "" {
		which = "match " + e.Fingerprint
	}
	s := fmt.Sprintf("exemption from rule %s to %s: %s", e.Rule, e.Host, which)
	if e.RequestID != "" {
		s += ", seen in request " + e.RequestID
	}
	return s
}

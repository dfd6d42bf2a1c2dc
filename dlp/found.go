package dlp

import (
	"bytes"
	"slices"
	"strings"

	"bottled/dlp/rules"
)

// excused is a match that an exemption let through.
type excused struct {
	rule  *rule
	match []byte
}

// found records a match of r in v and says what to do about it. Of a match that
// does not count but may hide another it returns how many bytes to pass over before
// looking again. That is so where values were joined, and a token of no fixed length
// takes in what follows it.
func (s *Scan) found(v *view, r *rule, match []byte, from int64, confirmed bool) (skip int) {
	if s.err != nil {
		return 0
	}
	if v.trail && !v.spans(r, match, from) {
		return 1 // what begins in it may span
	}
	f := Finding{Rule: r.id, Class: r.class, Mode: r.mode, Kind: v.kind, Name: v.name, Offset: v.origin,
		Via: v.via, Confirmed: confirmed, Fingerprint: s.e.fingerprint(r, match)}
	if v.plain() {
		f.Offset = from
	}
	if s.exempted(f) {
		s.passed = append(s.passed, excused{r, bytes.Clone(match)})
		return 0
	}
	if n := s.swallowed(v, r, match); n > 0 {
		return n
	}
	if f.Mode == Redact && !s.mayRedact(v, r, from, len(match)) {
		f.Mode = Block
	}
	known := slices.ContainsFunc(s.findings, func(o Finding) bool {
		return o.Rule == f.Rule && o.Fingerprint == f.Fingerprint && o.Mode >= f.Mode
	})
	if !known && (len(s.findings) < s.e.limits.Findings || f.Mode == Block) {
		s.findings = append(s.findings, f)
	}
	if f.Mode == Block {
		s.block(f)
	}
	return 0
}

// exempted reports whether an exemption lets f pass. None reaches a secret.
func (s *Scan) exempted(f Finding) bool {
	if strings.HasPrefix(f.Rule, secretPrefix) {
		return false
	}
	for _, x := range s.e.exempt {
		if (x.Rule == "" || x.Rule == f.Rule) && (x.Route == "" || x.Route == s.route) &&
			(x.Fingerprint == "" || x.Fingerprint == f.Fingerprint && !rules.Begins(f.Rule)) {
			return true
		}
	}
	return false
}

// swallowed returns the length of the exempt match that a match in joined values
// begins with, or 0.
func (s *Scan) swallowed(v *view, r *rule, match []byte) int {
	if !v.joined {
		return 0
	}
	for _, p := range s.passed {
		if p.rule == r && bytes.HasPrefix(match, p.match) {
			return len(p.match)
		}
	}
	return 0
}

func (s *Scan) refuse(reason Reason, detail string) {
	if s.err == nil {
		s.err = &Refusal{Reason: reason, Detail: detail}
	}
}

func (s *Scan) block(f Finding) {
	if s.err == nil {
		f.Mode = Block
		s.err = &BlockedError{Finding: f}
	}
}

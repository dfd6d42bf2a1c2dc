package dlp

import "fmt"

// Verdict is what a [Scan] came to. The zero value refuses.
type Verdict struct {
	Action   Action
	Findings []Finding // at most Limits.Findings, warnings included
	Refusal  *Refusal  // set when Action is Refuse
}

// Action is what to do with a request.
type Action uint8

// The actions, worst first. Only Pass and Redacted let the request go on.
const (
	Refuse   Action = iota // it could not be judged: see Refusal
	Blocked                // a rule in mode Block matched
	Redacted               // a rule in mode Redact matched and was overwritten
	Pass                   // nothing matched but, perhaps, rules in mode Warn
)

// Allowed reports whether the request may go on.
func (v Verdict) Allowed() bool { return v.Action == Redacted || v.Action == Pass }

// Refusal says why a request could not be judged. It is an error fit for the agent.
type Refusal struct {
	Reason Reason
	Detail string
}

// Error says what could not be judged and what to do.
func (r *Refusal) Error() string {
	return fmt.Sprintf("dlp: the request cannot be judged (%s): %s", r.Reason, r.Detail)
}

// Reason is a stable code.
type Reason string

// The reasons of a refusal.
const (
	UnknownEncoding Reason = "unknown-encoding" // a content encoding that is not understood
	BadEncoding     Reason = "bad-encoding"     // content that is not in the encoding it declares, or goes on after its end
	TooLarge        Reason = "too-large"        // over Limits.Body
	DecodedTooMuch  Reason = "decoded-too-much" // a decompression bomb: over Limits.Ratio
	TooMuchWork     Reason = "too-much-work"    // over Limits.Work
	TooManyStreams  Reason = "too-many-streams" // over Limits.Streams compressed streams at a time
	Undecidable     Reason = "undecidable"      // more withheld than Limits.Held
	Ended           Reason = "ended"            // fed after Close
)

// BlockedError is the error of a request that a rule in mode Block matched. It says
// which rule and where, and nothing of the match.
type BlockedError struct{ Finding Finding }

// Error names the rule and what to do.
func (e *BlockedError) Error() string {
	return fmt.Sprintf("dlp: %v looks like a secret that must not leave; remove it, or ask for an exemption with the rule's name", e.Finding)
}

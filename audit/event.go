// Package audit records what was decided, as one line of JSON per decision.
//
// An [Event] is made by whoever decides and given to a [Sink], which never blocks
// and never fails its caller. [Log] is the sink that keeps: a bounded queue, a
// hash chain over the lines, and a file that rotates before it fills the disk.
// What does not fit is counted, and the count is itself a line. [Verify] checks
// the chain, and [Event.Line] is the same event for a person.
//
// An event cannot hold a secret or a body: targets enter it as a [Path], which
// has no query, and everything else is a name, a number or a code of ours. All
// strings are cut to a bound and escaped on the way out.
package audit

import (
	"net/netip"
	"time"
)

// Kind says what an event is about.
type Kind string

// The kinds of event.
const (
	Request    Kind = "request"    // one HTTP request
	Connection Kind = "connection" // a connection without a request: opaque, passed through, or refused before one
	Kernel     Kind = "kernel"     // a refusal by the kernel's walls
	Query      Kind = "query"      // a DNS query
	Control    Kind = "control"    // something the operator, the agent or the daemon did: launch, update, proposal
	Dropped    Kind = "dropped"    // Count events before this one were lost
	Torn       Kind = "torn"       // Count bytes of a half-written line were removed when the log was opened
)

// Process is the program that opened a connection.
type Process struct {
	PID  int    `json:"pid,omitempty"` // as the host sees it
	Comm string `json:"comm,omitempty"`
	UID  uint32 `json:"uid"`
}

// Event is one line of the audit log. The zero Event is a denial of nothing.
type Event struct {
	Time       time.Time `json:"time"`
	Kind       Kind      `json:"kind,omitempty"`
	Bottle     string    `json:"bottle,omitempty"`
	Owner      string    `json:"owner,omitempty"`      // the user who launched the bottle
	Generation uint64    `json:"generation,omitempty"` // of the route table that decided
	RequestID  string    `json:"request_id,omitempty"`

	Process     Process        `json:"process,omitzero"`
	Protocol    string         `json:"protocol,omitempty"`    // "h1", "h2", "ws", "tcp", "tls", "udp", "raw"
	OriginalDst netip.AddrPort `json:"original_dst,omitzero"` // where the program wanted to go; never dialled for a name
	Dialled     netip.AddrPort `json:"dialled,omitzero"`      // where the enforcer went
	Scheme      string         `json:"scheme,omitempty"`      // "http" or "https"
	SNI         string         `json:"sni,omitempty"`
	Authority   string         `json:"authority,omitempty"` // canonical, without user information
	Method      string         `json:"method,omitempty"`
	Path        Path           `json:"path,omitzero"` // canonical, without a query

	Verdict Verdict `json:"verdict"`
	Reason  string  `json:"reason,omitempty"` // a stable code, such as "host-not-allowed"
	Route   string  `json:"route,omitempty"`  // the host pattern of the route that decided
	Rule    string  `json:"rule,omitempty"`   // id of a DLP rule that found something
	Detail  string  `json:"detail,omitempty"` // for a person; made of the fields above, never of a header, body or error of a peer

	Where       string `json:"where,omitempty"`       // the part of the request that Rule found something in
	Fingerprint string `json:"fingerprint,omitempty"` // of what it found: the same for the same match, and nothing else

	Status    int           `json:"status,omitempty"` // of the HTTP response that the bottle got
	BytesUp   int64         `json:"bytes_up,omitempty"`
	BytesDown int64         `json:"bytes_down,omitempty"`
	Duration  time.Duration `json:"duration_ns,omitempty"`
	Injected  bool          `json:"injected,omitempty"` // a credential was set on this request
	Scrubbed  int           `json:"scrubbed,omitempty"` // how often a token of the bottle was taken out of the response
	Sealed    bool          `json:"sealed,omitempty"`   // the bottle got the status of the response and nothing else
	Count     uint64        `json:"count,omitempty"`    // of a Dropped or Torn event, or of a Kernel event that stands for several
}

// Verdict is what was decided. Its zero value denies.
type Verdict uint8

// The verdicts.
const (
	Deny Verdict = iota
	Allow
)

// String returns "allow" or "deny". Every value that is not [Allow] denies.
func (v Verdict) String() string {
	if v == Allow {
		return "allow"
	}
	return "deny"
}

// MarshalText implements [encoding.TextMarshaler].
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]. Anything but "allow" reads as [Deny].
func (v *Verdict) UnmarshalText(b []byte) error {
	*v = Deny
	if string(b) == "allow" {
		*v = Allow
	}
	return nil
}

package routes

// A Query is one HTTP request, as the enforcer has parsed it.
type Query struct {
	Scheme    string    // "http" or "https": what the client speaks to the enforcer
	SNI       Host      // server name of the TLS session; zero if there was none
	Authority Authority // from Host or :authority, with the port the client meant
	Method    string
	Target    string // origin-form: byte for byte what is forwarded
}

// A Hello is one connection, before any request was read from it.
type Hello struct {
	TLS       bool      // it began with a TLS client hello
	SNI       Host      // zero if the client hello named none
	Authority Authority // the name and port that the client connected to, or the address
}

// A Verdict is the outcome of a decision. The zero Verdict denies.
type Verdict uint8

// The verdicts.
const (
	Deny Verdict = iota
	Allow
)

// String returns "allow" or "deny".
func (v Verdict) String() string {
	if v == Allow {
		return "allow"
	}
	return "deny"
}

// A Decision is the answer of a [Table]. The zero Decision denies.
type Decision struct {
	Verdict    Verdict
	Reason     Reason
	Detail     string // for the person or agent that is denied: what, and what to do
	Route      *Route // the route that allowed it, or that came nearest; may be nil
	Generation uint64 // of the table that decided
}

// Allowed reports whether the request may pass.
func (d Decision) Allowed() bool { return d.Verdict == Allow && d.Route != nil }

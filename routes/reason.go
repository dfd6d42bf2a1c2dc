package routes

// A Reason says why a decision came out as it did. Reasons are stable: they are
// in audit lines, metrics and the body of a 403.
type Reason string

// The reasons. The zero Reason belongs to the zero Decision, which denies.
const (
	ReasonAllowed      Reason = "allowed"
	ReasonNoTable      Reason = "no-table"           // no table is loaded, or it is empty
	ReasonMalformed    Reason = "request-malformed"  // no program may have to guess what it means
	ReasonReserved     Reason = "host-reserved"      // the enforcer's own names
	ReasonUnqualified  Reason = "host-unqualified"   // a single label
	ReasonMismatch     Reason = "authority-mismatch" // TLS names another host than the request: 421
	ReasonNoSNI        Reason = "sni-missing"        // https without a server name
	ReasonHost         Reason = "host-not-allowed"
	ReasonPort         Reason = "port-not-allowed"
	ReasonScheme       Reason = "scheme-not-allowed"   // https on 80, http on 443
	ReasonProtocol     Reason = "protocol-not-allowed" // HTTP on an opaque port, or the reverse
	ReasonCleartext    Reason = "credential-needs-tls" // http on a route with auth
	ReasonPath         Reason = "path-not-allowed"
	ReasonAmbiguous    Reason = "path-ambiguous" // programs differ on which path it is
	ReasonMethod       Reason = "method-not-allowed"
	ReasonMethodForbid Reason = "method-forbidden" // TRACE, and CONNECT and TRACK unless listed
)

const (
	// BlockTool and ListTool are the MCP tools that a denial points an agent at.
	BlockTool = "egress-proxy-block"
	ListTool  = "list-egress-proxy-routes"

	askHint = " The tool " + ListTool + " shows what is allowed; the tool " + BlockTool + " proposes a change to the operator."
)

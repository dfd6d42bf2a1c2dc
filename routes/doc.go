// Package routes is the policy of a bottle: what its manifest says, the table
// that comes of it, and what the table says about a request.
//
// It is pure. It opens no file, dials nothing, reads no clock and writes no log,
// so a decision depends on its arguments alone.
//
// # From a manifest to a decision
//
//	m, err := routes.ParseManifest("bottle.yaml", data) // what a person wrote
//	e, err := m.Effective()                             // defaults folded in, token slots named
//	file, err := routes.Render(e.Routes)                // what the enforcer is given
//	t, err := routes.Parse(file, generation)            // what it decides with
//	d := t.Decide(query)                                // for every request
//
// [Table.DecideHello] judges a connection before a request was read from it, and
// [Explain] tells a person what [Table.Decide] did.
//
// # Names
//
// A [Host] is the one form of a name that is compared. A person's spelling
// ([ParseHost], [ParsePattern]) may be in capitals, end in a dot or be
// internationalised. What a program sends ([ParseAuthority], [ParseSNI]) is plain
// ASCII or refused: there is one way to spell each host on the wire.
//
// # Paths
//
// A path that is compared with a path list must be read in one way only by every
// upstream there may be ([CheckPath]); others are refused and never repaired, so
// what is forwarded is, byte for byte, what was judged. A host without path list
// takes every path, since each of its readings is allowed. Queries are not
// judged: an endpoint that acts on its query or its body (such as /graphql) is
// allowed as a whole or not at all.
//
// path_allowlist says, in a manifest and in the routes file alike:
//
//	absent      every path
//	[]          no path: the host answers every request with a 403
//	["/"]       every path that is unambiguous
//	[""]        an error, as are null and "*"
//
// # Failing closed
//
// The zero value of every type denies or matches nothing: [Decision], [Verdict],
// [Host], [Authority], [Pattern], [PathPattern], [Protocol], [Route], and a nil or
// empty [Table]. A parser that returns an error returns nothing to use.
package routes

// Package proposal is what an agent asks for and an operator decides.
//
// An agent that was refused something proposes a change: a route, an exemption
// from a rule of the scanner, or a change of the bottle itself. A [Proposal] is
// made by [ForRoute], [ForExemption], [ForMatch] or [ForCapability], which refuse what no
// operator could grant and bring the rest into the one form that is shown,
// compared and applied. It waits in the [Queue] of its bottle:
//
//	            ┌─ Decide ──► approved
//	waiting ────┼─ Decide ──► denied, with a reason
//	            └─ time ────► expired
//
// A final state never changes. Time never approves, and neither does the zero
// value of anything here.
//
// # What is shown is what is decided
//
// Two values name a proposal. [Proposal.ID] covers what is asked for and not how
// it is argued, so that an agent that asks again in other words gets the state of
// its first request and not a second place in the queue. [Proposal.Digest] covers
// everything that a person sees, and a [Decision] has to repeat it.
//
// Hosts are shown as A-labels, paths and methods as they are compared, all of it
// ASCII and in full. Free text of the agent is one line without control, bidi or
// invisible characters ([Ticket] says which fields hold some); a program that
// shows it as HTML or Markdown still has to escape it for that.
//
// # JSON
//
// Proposals, tickets and decisions cross the control socket of the enforcer, of
// which a bottle may have taken hold. Decoding therefore makes the value anew with
// the constructors, and takes nothing but the very bytes that encoding it gives:
// no other spelling, key, order or white space means anything.
//
// The package knows no file, socket or log, and its clock is given to it.
package proposal

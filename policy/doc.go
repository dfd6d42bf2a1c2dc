// Package policy is the operator's floor: what no manifest on this host may ask
// for, and what it may only ask for with leave.
//
// The file is /etc/bottled/policy.yaml, in the strict YAML of manifests
// (docs/policy.md shows all of it). [Load] opens it only where nobody but root can
// have written it; [Parse] reads it; [Default] is what holds without one. A
// [Policy] does not change: a reload makes another.
//
// Two questions are asked of it. [Policy.Check]: may this caller have this table?
// It is asked at every launch and every update of routes, before anything changes.
// And [Policy.Preapproved]: may this route be added without asking a person? A yes
// to the second is worth nothing without a yes to the first.
//
// Nothing a manifest says makes the floor wider: every rule here is an AND with
// the manifest's own. The zero Policy, and nil, let nobody do anything.
package policy

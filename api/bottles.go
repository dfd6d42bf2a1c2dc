package api

import (
	"context"
	"syscall"
	"time"

	"bottled/bottle"
	"bottled/secret"
)

// Bottles does what the API asks for. Every method is told who asks and must hold
// the rule that a bottle of another owner does not exist, except for root.
//
// Errors that wrap one of the kinds of package bottle ([bottle.ErrInvalid] and so
// on) become the matching status, and their text is shown to the caller; any other
// error is shown as an internal one. Implementations are safe for concurrent use.
type Bottles interface {
	// Create returns once the command was exec'ed. It owns the files in o whatever the outcome.
	Create(ctx context.Context, c bottle.Caller, o bottle.CreateOptions) (bottle.Info, error)
	// List tells about the caller's bottles, everybody's for root; with all, those that ended too.
	List(c bottle.Caller, all bool) []bottle.Info
	// Inspect takes ref as an id or a name, as do all methods below.
	Inspect(ctx context.Context, c bottle.Caller, ref string) (bottle.Details, error)
	// Exec returns once the command was exec'ed. It owns the files in o whatever the outcome.
	Exec(ctx context.Context, c bottle.Caller, ref string, o bottle.ExecOptions) (execID string, pid int, err error)
	// WaitExec returns when that command has ended, or ctx.
	WaitExec(ctx context.Context, c bottle.Caller, ref, execID string) (bottle.Exit, error)
	// Wait returns when the bottle's command has ended. With attached, the bottle
	// lives no longer than its waiters: ctx ending means that this one is gone.
	Wait(ctx context.Context, c bottle.Caller, ref string, attached bool) (bottle.Exit, error)
	// Signal sends sig to the bottle's command, or to that of execID if not empty.
	Signal(ctx context.Context, c bottle.Caller, ref, execID string, sig syscall.Signal) error
	// UpdateRoutes replaces the table; name is the manifest's, for messages, and files
	// holds what the paths in it lead to.
	UpdateRoutes(ctx context.Context, c bottle.Caller, ref, name string, manifest []byte, files map[string][]byte, tokens map[string]secret.Token) (generation uint64, routes int, err error)
	// Proposals returns what agents propose, of one bottle if ref is not empty.
	Proposals(ctx context.Context, c bottle.Caller, ref string) ([]bottle.Pending, error)
	// Decide approves or denies a proposal that Proposals showed.
	Decide(ctx context.Context, c bottle.Caller, ref string, number uint64, approve bool, answer string) error
	// Stop of what does not exist is a success.
	Stop(ctx context.Context, c bottle.Caller, ref string, grace time.Duration) error
	// Doctor says what the host offers.
	Doctor(ctx context.Context) (ok bool, features []bottle.Feature)
}

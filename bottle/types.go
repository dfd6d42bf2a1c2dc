package bottle

import (
	"errors"
	"os"
	"time"

	"bottled/policy"
	"bottled/secret"
)

// Caller is who asks, as the kernel tells (SO_PEERCRED, SO_PEERGROUPS).
type Caller struct {
	UID, GID uint32
	Groups   []uint32
	PID      int
}

// Root reports whether the caller is uid 0.
func (c Caller) Root() bool { return c.UID == 0 }

// subject is the caller as the operator's floor knows one.
func (c Caller) subject() policy.Subject {
	return policy.Subject{UID: c.UID, Groups: append([]uint32{c.GID}, c.Groups...)}
}

// Identity is whom a bottle's processes run as.
type Identity struct{ UID, GID uint32 }

// Stdio is what the command's standard streams are. The Manager owns the files
// it is given, whatever the outcome.
type Stdio struct {
	// Streams are stdin, stdout and stderr; nil means /dev/null. Ignored with a Console.
	Streams [3]*os.File
	// Console is the Unix socket over which the terminal's master is sent out.
	Console *os.File
}

// Close closes every file.
func (s *Stdio) Close() {
	for _, f := range append(s.Streams[:], s.Console) {
		if f != nil {
			f.Close()
		}
	}
	*s = Stdio{}
}

// CreateOptions says what bottle to make.
type CreateOptions struct {
	Name         string // slug; empty: made up
	Manifest     []byte
	ManifestName string            // for messages
	Files        map[string][]byte // what the paths in the manifest lead to on the launching side
	Command      []string
	Dir          string
	Env          []string
	Tokens       map[string]secret.Token // by token_ref
	Terminal     bool
	Attached     bool
	User         *Identity // only root may set it
	Stdio        Stdio
}

// ExecOptions says what to run in a bottle that is there.
type ExecOptions struct {
	Command  []string
	Dir      string
	Env      []string
	Terminal bool
	Stdio    Stdio
}

// State is where a bottle is in its life:
//
//	creating ──► running ──► stopping ──► exited
//	    └───────────────────────┴──────────►┘
type State string

// The states of a bottle.
const (
	Creating State = "creating"
	Running  State = "running"
	Stopping State = "stopping"
	Exited   State = "exited"
)

// Exit is how a command ended: the status a shell would show (128+n for signal n).
type Exit struct {
	Code   int
	Signal int
	Reason string
}

// Info is what may be told about a bottle; it holds no secret.
type Info struct {
	ID, Name   string
	Owner      uint32
	User       Identity
	State      State
	Command    []string
	Dir        string
	Created    time.Time
	Generation uint64
	Routes     int
	PID        int
	WorkerPID  int
	Cgroup     string
	NetNS      uint64
	Adopted    bool
	Exit       *Exit
}

// Details is [Info] and what takes a look at the kernel to tell.
type Details struct {
	Info
	Manifest  []byte
	Chain     *Chain // nil: connections go direct
	Allowlist []byte // JSON
	Kernel    map[string]string
}

// Chain is what may be told about the proxy that a bottle goes through.
type Chain struct {
	URL      string
	CA       string // SHA-256 of the certificates that it brings, in hex; "" is none
	Scheme   string // of its credential; "" is none
	Operator bool   // the policy says so, and not the manifest
}

// Kinds of refusal; errors.Is tells them apart, the text speaks to the person.
var (
	ErrInvalid     = errors.New("invalid")     // the request is wrong
	ErrNotFound    = errors.New("not found")   // no such bottle, or not the caller's: the same answer
	ErrConflict    = errors.New("conflict")    // the name is taken, or the state does not allow it
	ErrForbidden   = errors.New("forbidden")   // the caller may not
	ErrUnavailable = errors.New("unavailable") // the host lacks something, or the daemon is stopping

	ErrNoCommand     = errors.New("command not found")      // a shell's 127
	ErrNotExecutable = errors.New("command not executable") // a shell's 126
)

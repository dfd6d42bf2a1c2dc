package inside

import (
	"bottled/launch/filesystem"
	"bottled/launch/identity"
	"bottled/launch/step"

	"golang.org/x/sys/unix"
)

// Descriptors of the first process.
const (
	SyncFD    = 3
	ConsoleFD = 4
	UsernsFD  = 5
	FilesFD   = 6
)

// A Plan is all that the first process is told. There is no secret in it.
type Plan struct {
	Join           bool            // become the command in a bottle that is there already
	Tree           filesystem.Tree // not used by Join
	User           identity.Identity
	Hostname       string // not used by Join
	Dir            string // where the command starts
	Argv, Env      []string
	Terminal       bool
	UserNamespaces bool
	Fault          int // number of the step that fails, counted from 1; 0 for none; set by tests
}

// An Order is what the first process waits for once it is ready. The zero value, like
// an end of the socket, ends it.
type Order struct {
	Run bool `json:"run"`
}

// A Report is a line from the first process. Exactly one field is set, but that
// Errno comes with Step or Command, and Path with Step.
type Report struct {
	Step    string     `json:"step,omitempty"`    // what failed before the command was started, as a sentence
	Path    bool       `json:"path,omitempty"`    // of Step: it is a [filesystem.ErrPath]
	Command string     `json:"command,omitempty"` // why the command could not be executed
	Errno   unix.Errno `json:"errno,omitempty"`
	Ready   bool       `json:"ready,omitempty"` // all is as planned; an Order is waited for
	Started bool       `json:"started,omitempty"`
	Exited  *Exit      `json:"exited,omitempty"`
}

// Exit is how the command ended. A signal excludes a code.
type Exit struct {
	Code   int         `json:"code"`
	Signal unix.Signal `json:"signal,omitempty"`
}

// Status is the shell's number for it: 128+n for signal n.
func (e Exit) Status() int {
	if e.Signal != 0 {
		return 128 + int(e.Signal)
	}
	return e.Code
}

// steps lists everything between the start of the process and the command.
func (p *process) steps() []step.Step {
	var list []step.Step
	if !p.plan.Join {
		list = p.plan.Tree.Steps(UsernsFD, FilesFD)
		list = append(list, step.New("set the host name", func() error {
			return unix.Sethostname([]byte(p.plan.Hostname))
		}))
	}
	list = append(list,
		step.New("set up the terminal", p.openTerminal),
		step.New("leave the daemon's priority for the OOM killer", identity.LeaveOOMScore),
	)
	list = append(list, identity.Drop(p.plan.User)...)
	return append(list,
		step.New("limit resources", limit),
		step.New("load the system call filter", p.filter),
		step.New("verify the system call filter", identity.VerifyFiltered),
		step.New("enter the working directory", func() error {
			if err := unix.Chdir(p.plan.Dir); err != nil {
				return filesystem.DirError(p.plan.Dir, err)
			}
			return nil
		}),
	)
}

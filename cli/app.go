package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"bottled/api"
	"bottled/api/client"
)

// Daemon is what package daemon makes.
type Daemon interface {
	// Serve returns when ctx ends, or with an error when it cannot serve.
	Serve(ctx context.Context) error
	// Ready is closed once clients are answered.
	Ready() <-chan struct{}
}

// DaemonOptions are the ones that a command line sets.
type DaemonOptions struct {
	Socket   string
	StateDir string // "" is the daemon's default
	AuditLog string // "" is none
	// AuditSize bounds the log with its older files, in MiB; 0 is [audit.DefaultSize].
	AuditSize uint64
	Metrics   string // "" is none but the API's
	Resolver  string // "" is the host's configuration
	Policy    string // "" is the usual file, if it is there
	Log       *slog.Logger
	Private   bool // for one process, beside the service
}

// App is one call of the program.
type App struct {
	Stdin, Stdout, Stderr *os.File
	Environ               []string
	// NewDaemon makes the daemon that `bottled`, and a lone `bottled run`, serve.
	NewDaemon func(DaemonOptions) (Daemon, error)
}

// A command is one word after "bottled".
type command struct {
	name    string
	summary string
	usage   string
	failure int // exit status of an error
	run     func(a *App, args []string) (int, error)
}

// commands in the order of the help text.
func commands() []command {
	return []command{
		{"run", "run a command in a new bottle", usageRun, exitOwn, (*App).run},
		{"exec", "run one more command in a bottle", usageExec, exitOwn, (*App).exec},
		{"ls", "list bottles", usageLs, exitFailure, (*App).list},
		{"inspect", "tell everything about a bottle", usageInspect, exitFailure, (*App).inspect},
		{"logs", "show what bottles asked for and got", usageLogs, exitFailure, (*App).logs},
		{"top", "watch bottles: connections, requests, denials, bytes", usageTop, exitFailure, (*App).top},
		{"suggest", "write the manifest that would have allowed what was refused", usageSuggest, exitFailure, (*App).suggest},
		{"audit", "verify the hash chain of an audit log", usageAudit, exitFailure, (*App).audit},
		{"stop", "stop bottles", usageStop, exitFailure, (*App).stop},
		{"routes", "check, explain, show and update route tables", usageRoutes, exitFailure, (*App).routes},
		{"proposals", "show what agents propose", usageProposals, exitFailure, (*App).proposals},
		{"approve", "put a proposal in force", usageApprove, exitFailure, (*App).approve},
		{"deny", "refuse a proposal, with a reason", usageDeny, exitFailure, (*App).deny},
		{"mcp", "offer the agent's tools on standard input and output", usageMCP, exitFailure, (*App).mcp},
		{"doctor", "tell what this host offers and lacks", usageDoctor, exitFailure, (*App).doctor},
		{"daemon", "serve the API (what bare bottled does)", usageDaemon, exitFailure, (*App).daemon},
		{"completion", "print a completion script for a shell", usageCompletion, exitFailure, (*App).completion},
		{"version", "print the version", usageVersion, exitFailure, (*App).version},
	}
}

// Exit statuses.
const (
	exitFailure       = 1
	exitUsage         = 2
	exitOwn           = 125
	exitNotExecutable = 126
	exitNotFound      = 127
)

// usageError is for a command line that is wrong.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// Main runs the command that args (without the program's name) ask for, and returns
// the exit status.
func (a *App) Main(args []string) int {
	if len(args) == 0 {
		args = []string{"daemon"}
	}
	switch first := args[0]; {
	case slices.Contains([]string{"help", "-h", "-help", "--help"}, first):
		return a.help(args[1:])
	case first == "--version" || first == "-version":
		args = append([]string{"version"}, args[1:]...)
	case strings.HasPrefix(first, "-"): // bare bottled is the daemon, with its flags too
		args = append([]string{"daemon"}, args...)
	}
	c, ok := find(args[0])
	if !ok {
		a.complain(usagef("%q is not a command; `bottled help` lists them", args[0]))
		return exitUsage
	}
	status, err := c.run(a, args[1:])
	var usage usageError
	switch {
	case err == nil:
		return status
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(a.Stdout, c.usage)
		return 0
	case errors.As(err, &usage):
		a.complain(fmt.Errorf("%s: %w; see `bottled help %s`", c.name, err, c.name))
		return max(c.failure, exitUsage)
	}
	a.complain(err)
	switch client.Code(err) {
	case api.CodeNoCommand:
		return exitNotFound
	case api.CodeNotExecutable:
		return exitNotExecutable
	}
	return c.failure
}

func find(name string) (command, bool) {
	for _, c := range commands() {
		if c.name == name {
			return c, true
		}
	}
	return command{}, false
}

func (a *App) help(args []string) int {
	if len(args) > 0 {
		if c, ok := find(args[0]); ok {
			fmt.Fprint(a.Stdout, c.usage)
			return 0
		}
		a.complain(usagef("%q is not a command; `bottled help` lists them", args[0]))
		return exitUsage
	}
	var list strings.Builder
	for _, c := range commands() {
		fmt.Fprintf(&list, "  %-12s%s\n", c.name, c.summary)
	}
	fmt.Fprintf(a.Stdout, usage, list.String())
	return 0
}

func (a *App) complain(err error) { fmt.Fprintf(a.Stderr, "bottled: %v\n", err) }

// getenv returns a variable of the caller's.
func (a *App) getenv(name string) (string, bool) {
	for i := len(a.Environ) - 1; i >= 0; i-- {
		if key, value, ok := strings.Cut(a.Environ[i], "="); ok && key == name {
			return value, true
		}
	}
	return "", false
}

// flags makes a flag set that leaves all printing to Main.
func flags(name string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	return f
}

// parse reads flags, which package flag wants first: one that comes later would be taken
// for a bottle or a file.
func parse(f *flag.FlagSet, args []string) error {
	if err := parseCommand(f, args); err != nil {
		return err
	}
	for _, a := range f.Args() {
		switch {
		case a == "-h", a == "--help":
			return flag.ErrHelp
		case len(a) > 1 && a[0] == '-':
			return usagef("flag %q comes too late: flags go before everything else", a)
		}
	}
	return nil
}

// parseCommand is parse for what ends in a command, whose flags are its own. A flag that
// is given and empty is most often a variable of a script that is not set: taken for a
// flag that is not there, it would mean the default, such as another manifest.
func parseCommand(f *flag.FlagSet, args []string) error {
	err := f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
		return usageError{err.Error()}
	}
	f.Visit(func(g *flag.Flag) {
		optional, ok := g.Value.(interface{ IsBoolFlag() bool })
		if g.Value.String() == "" && !(ok && optional.IsBoolFlag()) {
			err = usagef("--%s is empty: give it a value, or leave it out", g.Name)
		}
	})
	return err
}

// socketFlag adds --socket.
func (a *App) socketFlag(f *flag.FlagSet) *string {
	socket := api.DefaultSocket
	if s, _ := a.getenv("BOTTLED_SOCKET"); s != "" {
		socket = s
	}
	return f.String("socket", socket, "")
}

// stringsFlag is a flag that may come many times.
type stringsFlag []string

func (s *stringsFlag) String() string     { return strings.Join(*s, ",") }
func (s *stringsFlag) Set(v string) error { *s = append(*s, v); return nil }

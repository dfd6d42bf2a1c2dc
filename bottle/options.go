package bottle

import (
	"fmt"
	"log/slog"
	"path/filepath"

	"bottled/audit"
	"bottled/policy"
)

// DefaultRun is where state lies: a tmpfs, so that a reboot forgets it all.
const DefaultRun = "/run/bottled"

// HostInstance is the name of the service's own place in the run directory.
const HostInstance = "host"

// Options says how a [Manager] works. The zero value is that of the service.
type Options struct {
	Run      string // default [DefaultRun]
	Instance string // default [HostInstance]
	// Resolver is "address:port" of the DNS server that enforcers ask; empty means the host's configuration.
	Resolver string
	Log      *slog.Logger // default: discard
	Audit    audit.Sink   // default: none
	// Policy is the operator's floor; default [policy.Default].
	Policy *policy.Policy
	// DLPKey is the file with the host's key of fingerprints, made if it is not there;
	// default: [DefaultDLPKey] with the default Run, else dlp.key in Run.
	DLPKey string
	// Executable is run to be init and worker; default /proc/self/exe.
	Executable string
	// Fault is called before each step of an operation ("start", "update", "release")
	// with the step's number, from 1, and name; its error fails the step. For tests,
	// which also end the process in it. It is called from several goroutines at once.
	Fault func(operation string, step int, name string) error
}

// complete puts the defaults in. Its Run is absolute.
func (o Options) complete() (Options, error) {
	usual := o.Run == "" || o.Run == DefaultRun
	if o.Run == "" {
		o.Run = DefaultRun
	}
	run, err := filepath.Abs(o.Run)
	if err != nil {
		return o, fmt.Errorf("run directory: %w", err)
	}
	o.Run = run
	if o.Instance == "" {
		o.Instance = HostInstance
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Audit == nil {
		o.Audit = audit.Discard
	}
	if o.Policy == nil {
		o.Policy = policy.Default()
	}
	switch {
	case o.DLPKey != "":
	case usual:
		o.DLPKey = DefaultDLPKey
	default:
		o.DLPKey = filepath.Join(o.Run, "dlp.key")
	}
	if o.Executable == "" {
		o.Executable = "/proc/self/exe"
	}
	if o.Fault == nil {
		o.Fault = func(string, int, string) error { return nil }
	}
	return o, nil
}

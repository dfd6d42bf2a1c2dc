// Command bottled runs programs in bottles: the daemon, its client, and the two
// processes the daemon starts for a bottle are this one program.
package main

import (
	"os"
	"path/filepath"

	"bottled/cli"
	"bottled/daemon"
	"bottled/worker"
)

func main() {
	if filepath.Base(os.Args[0]) == worker.Arg0 {
		os.Exit(worker.Main())
	}
	app := &cli.App{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Environ: os.Environ(),
		NewDaemon: func(o cli.DaemonOptions) (cli.Daemon, error) {
			return daemon.New(daemon.Options{
				Socket: o.Socket, StateDir: o.StateDir, AuditLog: o.AuditLog, AuditSize: o.AuditSize,
				Metrics: o.Metrics, Resolver: o.Resolver, Policy: o.Policy, Log: o.Log, Private: o.Private,
			})
		},
	}
	os.Exit(app.Main(os.Args[1:]))
}

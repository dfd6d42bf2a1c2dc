package cli

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"bottled/api"
	"bottled/audit"
)

func (a *App) daemon(args []string) (int, error) {
	f := flags("daemon")
	o := DaemonOptions{}
	f.StringVar(&o.Socket, "socket", api.DefaultSocket, "")
	f.StringVar(&o.StateDir, "state-dir", "", "")
	f.StringVar(&o.AuditLog, "audit-log", "", "")
	f.Uint64Var(&o.AuditSize, "audit-size", audit.DefaultSize, "")
	f.StringVar(&o.Resolver, "resolver", "", "")
	f.StringVar(&o.Policy, "policy", "", "")
	f.StringVar(&o.Metrics, "metrics", "", "")
	var level slog.Level
	f.TextVar(&level, "log-level", slog.LevelInfo, "")
	if err := parse(f, args); err != nil {
		return 0, err
	}
	switch {
	case f.NArg() > 0:
		return 0, usagef("%q is one argument too many", f.Arg(0))
	case o.AuditSize < audit.LeastSize || o.AuditSize > audit.MostSize:
		return 0, usagef("--audit-size %d: write a number of MiB from %d to %d", o.AuditSize, audit.LeastSize, audit.MostSize)
	case os.Geteuid() != 0:
		return 0, errors.New("the daemon has to be root, to make namespaces and load programs into the kernel: `sudo bottled`; `bottled help` tells what users can do")
	case a.NewDaemon == nil:
		return 0, errors.New("this program was built without the daemon")
	}
	o.Log = slog.New(slog.NewTextHandler(a.Stderr, &slog.HandlerOptions{Level: level}))
	d, err := a.NewDaemon(o)
	if err != nil {
		return 0, err
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	return 0, d.Serve(ctx)
}

package cli

import (
	"context"
	"os/signal"

	"golang.org/x/sys/unix"

	"bottled/mcp"
)

// mcp speaks with an agent that starts its servers as commands, inside a bottle.
func (a *App) mcp(args []string) (int, error) {
	f := flags("mcp")
	if err := parse(f, args); err != nil {
		return 0, err
	}
	if f.NArg() > 0 {
		return 0, usagef("%q is one argument too many", f.Arg(0))
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	return 0, new(mcp.Relay).Serve(ctx, a.Stdin, a.Stdout)
}

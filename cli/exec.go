package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"bottled/api"
	"bottled/api/client"
)

func (a *App) exec(args []string) (int, error) {
	f := flags("exec")
	dir := f.String("dir", "", "")
	terminal, noTerminal := f.Bool("t", false, ""), f.Bool("T", false, "")
	socket := a.socketFlag(f)
	var env stringsFlag
	f.Var(&env, "env", "")
	if err := parseCommand(f, args); err != nil {
		return 0, err
	}
	ref, argv := f.Arg(0), f.Args()
	if len(argv) > 1 && argv[1] == "--" {
		argv = argv[1:]
	}
	if len(argv) < 2 {
		return 0, usagef("name a bottle and a command")
	}
	r := api.ExecRequest{Command: argv[1:], Dir: *dir}
	var err error
	if r.Terminal, err = a.wantsTerminal(*terminal, *noTerminal); err != nil {
		return 0, err
	}
	if term, ok := a.getenv("TERM"); ok && r.Terminal {
		env = append(stringsFlag{"TERM=" + term}, env...)
	}
	if r.Env, err = a.asked(env); err != nil {
		return 0, err
	}

	signals := make(chan os.Signal, 16)
	signal.Notify(signals, forwarded...)
	defer signal.Stop(signals)
	c := client.New(*socket)
	defer c.Close()
	return a.attached(context.Background(), signals, r.Terminal, process{
		start: func(ctx context.Context, files []*os.File) (string, error) {
			e, err := c.Exec(ctx, ref, r, files...)
			return e.ID, err
		},
		wait: func(ctx context.Context, id string) (api.Exit, error) { return c.WaitExec(ctx, ref, id) },
		signal: func(ctx context.Context, id string, s syscall.Signal) error {
			return c.Signal(ctx, ref, api.SignalRequest{Signal: int(s), Exec: id})
		},
	})
}

package cli

import (
	"context"
	"errors"
	"fmt"

	"bottled/api"
	"bottled/api/client"
)

func (a *App) doctor(args []string) (int, error) {
	f := flags("doctor")
	asJSON := f.Bool("json", false, "")
	socket := a.socketFlag(f)
	if err := parse(f, args); err != nil {
		return 0, err
	}
	if f.NArg() > 0 {
		return 0, usagef("%q is one argument too many", f.Arg(0))
	}
	ctx := context.Background()
	c, release, err := a.connect(ctx, *socket, "")
	if err != nil {
		return 0, err
	}
	defer release()
	d, err := c.Doctor(ctx)
	if err != nil {
		return 0, err
	}
	status := 0
	if !d.OK {
		status = exitFailure
	}
	if *asJSON {
		return status, printJSON(a.Stdout, d)
	}
	for _, feature := range d.Features {
		mark := a.green("ok     ")
		switch {
		case !feature.OK && feature.Required:
			mark = a.red("MISSING")
		case !feature.OK:
			mark = "absent "
		}
		fmt.Fprintf(a.Stdout, "%s  %-28s %s\n", mark, feature.Name, feature.Detail)
		if !feature.OK && feature.Fix != "" {
			fmt.Fprintf(a.Stdout, "         %s\n", feature.Fix)
		}
	}
	if !d.OK {
		return status, errors.New("this host lacks what bottles need; none will be started")
	}
	return status, nil
}

func (a *App) version(args []string) (int, error) {
	f := flags("version")
	asJSON := f.Bool("json", false, "")
	socket := a.socketFlag(f)
	if err := parse(f, args); err != nil {
		return 0, err
	}
	c := client.New(*socket)
	defer c.Close()
	own := api.ThisVersion()
	daemon, err := c.Version(context.Background())
	if *asJSON {
		both := map[string]api.VersionInfo{"client": own}
		if err == nil {
			both["daemon"] = daemon
		}
		return 0, printJSON(a.Stdout, both)
	}
	fmt.Fprintf(a.Stdout, "bottled %s (API %s, %s)\n", own.Version, own.API, own.Go)
	if err == nil {
		fmt.Fprintf(a.Stdout, "daemon  %s (API %s, %s), pid %d\n", daemon.Version, daemon.API, daemon.Go, daemon.PID)
	}
	return 0, nil
}

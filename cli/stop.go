package cli

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"bottled/api"
	"bottled/api/client"
)

// maxStops bounds how many bottles are stopped at the same time: the connections that a
// user may have at once are for all their programs (package api).
const maxStops = 16

func (a *App) stop(args []string) (int, error) {
	f := flags("stop")
	grace := f.Int("grace", 10, "")
	socket := a.socketFlag(f)
	if err := parse(f, args); err != nil {
		return 0, err
	}
	if f.NArg() == 0 {
		return 0, usagef("name at least one bottle")
	}
	if *grace < 0 || *grace > api.MaxGrace {
		return 0, usagef("--grace %d: give 0 to %d seconds", *grace, api.MaxGrace)
	}
	c := client.New(*socket)
	defer c.Close()
	// Side by side, or each would wait for the grace of all before it.
	errs := make([]error, f.NArg())
	var stops errgroup.Group
	stops.SetLimit(maxStops)
	for i, ref := range f.Args() {
		stops.Go(func() error {
			if err := c.Stop(context.Background(), ref, api.StopRequest{GraceSeconds: *grace}); err != nil {
				errs[i] = fmt.Errorf("stop %s: %w", ref, err)
			}
			return nil
		})
	}
	_ = stops.Wait() // never an error: each is in errs
	return 0, errors.Join(errs...)
}

package cli

import (
	"context"
	"errors"
	"fmt"

	"bottled/api"
	"bottled/api/client"
)

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
	c := client.New(*socket)
	defer c.Close()
	var errs []error
	for _, ref := range f.Args() {
		if err := c.Stop(context.Background(), ref, api.StopRequest{GraceSeconds: *grace}); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", ref, err))
		}
	}
	return 0, errors.Join(errs...)
}

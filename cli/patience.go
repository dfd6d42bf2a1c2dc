package cli

import (
	"context"
	"errors"
	"time"

	"bottled/api"
	"bottled/api/client"
)

// A daemon that is restarted leaves its bottles running and takes them over: who
// waits for one asks again for this long, this often.
const (
	restartTime = 30 * time.Second
	askAgain    = 200 * time.Millisecond
)

// patiently waits through a restart of the daemon.
func patiently(ctx context.Context, wait func(context.Context) (api.Exit, error)) (api.Exit, error) {
	var lost time.Time
	for {
		began := time.Now()
		exit, err := wait(ctx)
		away := errors.Is(err, client.ErrLost) || errors.Is(err, client.ErrNoDaemon) || client.Code(err) == "unavailable"
		if err == nil || !away || ctx.Err() != nil {
			return exit, err
		}
		if lost.IsZero() || began.Sub(lost) > 2*restartTime { // it was back in between
			lost = time.Now()
		}
		if time.Since(lost) > restartTime {
			return exit, err
		}
		time.Sleep(askAgain)
	}
}

package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"bottled/api"
	"bottled/api/client"
	"bottled/audit"
)

// sample is the counts of all bottles at a time.
type sample struct {
	at   time.Time
	list []api.Stats
}

func (a *App) top(args []string) (int, error) {
	f := flags("top")
	once := f.Bool("once", false, "")
	interval := f.Duration("interval", 2*time.Second, "")
	socket := a.socketFlag(f)
	if err := parse(f, args); err != nil {
		return 0, err
	}
	switch {
	case f.NArg() > 0:
		return 0, usagef("%q is one argument too many", f.Arg(0))
	case *interval < 100*time.Millisecond || *interval > time.Hour:
		return 0, usagef("--interval %v: give 100ms to 1h", *interval)
	case !*once && !term.IsTerminal(int(a.Stdout.Fd())):
		return 0, usagef("standard output is not a terminal; --once prints one table")
	}
	c := client.New(*socket)
	defer c.Close()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	before, err := take(ctx, c)
	if err != nil {
		return 0, err
	}
	tick := time.NewTicker(*interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return 0, nil
		case <-tick.C:
		}
		now, err := take(ctx, c)
		if ctx.Err() != nil {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		if !*once {
			fmt.Fprint(a.Stdout, "\x1b[H\x1b[2J") // home and clear (ECMA-48)
		}
		if err := a.table(a.clipped(topRows(before, now), !*once)); err != nil || *once {
			return 0, err
		}
		before = now
	}
}

func take(ctx context.Context, c *client.Client) (sample, error) {
	list, err := c.Stats(ctx)
	return sample{time.Now(), list}, err
}

// topRows is the table: rates between two samples, the busiest bottle first.
func topRows(before, now sample) [][]string {
	earlier := make(map[string]api.Stats)
	for _, s := range before.list {
		earlier[s.ID] = s
	}
	seconds := now.at.Sub(before.at).Seconds()
	rate := func(from, to uint64) float64 {
		if to < from { // another daemon counts from zero
			from = 0
		}
		return float64(to-from) / seconds
	}
	list := slices.Clone(now.list)
	busy := func(s api.Stats) float64 { return rate(earlier[s.ID].Requests, s.Requests) }
	slices.SortStableFunc(list, func(x, y api.Stats) int {
		if dx, dy := busy(x), busy(y); dx != dy {
			return map[bool]int{true: -1, false: 1}[dx > dy]
		}
		return strings.Compare(x.Name, y.Name)
	})
	rows := [][]string{{"BOTTLE", "OWNER", "STATE", "CONNS", "REQ/S", "DENIED/S", "REQUESTS", "DENIED", "KERNEL", "UP", "DOWN"}}
	for _, s := range list {
		was := earlier[s.ID]
		rows = append(rows, []string{
			audit.Visible(s.Name), ownerName(s.Owner), string(s.State), strconv.FormatInt(s.Open, 10),
			fmt.Sprintf("%.1f", rate(was.Requests, s.Requests)), fmt.Sprintf("%.1f", rate(was.Denied, s.Denied)),
			strconv.FormatUint(s.Requests, 10), strconv.FormatUint(s.Denied, 10), strconv.FormatUint(s.KernelRefusals, 10),
			bytesOf(s.BytesUp), bytesOf(s.BytesDown),
		})
	}
	return rows
}

// clipped are as many rows as the screen shows.
func (a *App) clipped(rows [][]string, screen bool) [][]string {
	_, height, err := term.GetSize(int(a.Stdout.Fd()))
	if !screen || err != nil || height < 2 || len(rows) < height {
		return rows
	}
	return rows[:height-1]
}

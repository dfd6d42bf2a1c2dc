package bottle

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
)

// step is one acquisition.
type step struct {
	name string
	do   func(*start) error
}

// stage is what is acquired at the same time, in lanes: the steps of a lane follow each
// other.
type stage [][]step

// stages is the order in which a bottle comes to be. The record is before everything, so
// that nothing can be there that nobody knows of, and the command after everything:
// hostile code runs when nothing is missing any more.
//
// What takes long goes on side by side. The first process of the bottle is prepared
// while its walls are raised: it is this program, makes no socket and reads nothing
// that a stranger had a hand in, and it waits for the command step.
var stages = []stage{
	{{
		{"record", (*start).makeRecord},
		{"cgroup", (*start).makeCgroups},
		{"spawn", (*start).spawnWorker},
		{"namespace", (*start).makeNamespace},
	}},
	{
		{
			{"hooks", (*start).attachHooks},
		},
		{
			{"fence", (*start).attachFence},
		},
		{
			{"rules", (*start).applyRules},
			{"listeners", (*start).openListeners},
		},
		{
			{"authority", (*start).makeAuthority},
			{"init", (*start).prepareInit},
		},
	},
	{{
		{"worker", (*start).handOver},
		{"command", (*start).runCommand},
		{"identify", (*start).completeRecord},
	}},
}

// run takes the steps. On an error it releases what was acquired.
func (s *start) run(ctx context.Context) (err error) {
	defer s.closeHandles()
	defer func() {
		if err != nil {
			err = errors.Join(err, s.undo())
		}
	}()
	number := 1
	for _, stage := range stages {
		lanes, going := errgroup.WithContext(ctx)
		for _, lane := range stage {
			first := number
			lanes.Go(func() error { return s.take(going, lane, first) })
			number += len(lane)
		}
		if err := lanes.Wait(); err != nil {
			return err
		}
	}
	return nil
}

// take takes the steps of a lane, the first of which has the number first. It ends
// early when the caller has gone, or another lane has failed.
func (s *start) take(ctx context.Context, lane []step, first int) error {
	for i, step := range lane {
		if ctx.Err() != nil {
			return fmt.Errorf("%w: the caller went away", ErrUnavailable)
		}
		if err := s.m.o.Fault("start", first+i, step.name); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		if err := step.do(s); err != nil {
			return err
		}
	}
	return nil
}

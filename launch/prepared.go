package launch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"bottled/launch/inside"
)

// Bounds on the child side, which may hang on a dead file server or be stopped.
const (
	answerTime = 30 * time.Second // from being asked to the report
	endTime    = 2 * time.Second  // from SIGKILL to the end
)

// Prepared is a bottle in which all is ready and nothing runs but its first process. It
// ends by itself when the process that prepared it does. One of Run and Discard must
// be called, once.
type Prepared struct{ process *Process }

// PID is the number of the first process on the host.
func (p *Prepared) PID() int { return p.process.PID() }

// Run has the command executed, and returns once it is. On an error nothing of the
// bottle is running.
func (p *Prepared) Run(ctx context.Context) (*Process, error) {
	report, err := p.process.ask(ctx, inside.Order{Run: true})
	if err == nil && !report.Started {
		err = errNoReport
	}
	if err != nil {
		return nil, p.process.abandon(err)
	}
	return p.process, nil
}

// Discard ends the bottle without having run its command.
func (p *Prepared) Discard() { p.process.end() }

var (
	errNoReport = errors.New("no report")
	errSlow     = fmt.Errorf("the process that is to become the command, or to start it, did not come so far in %v: it was stopped, or its files are on a server that does not answer", answerTime)
)

// instruct sends the plan and waits until it is carried out.
func (p *Process) instruct(ctx context.Context, plan inside.Plan) error {
	p.reports = json.NewDecoder(p.sync)
	report, err := p.ask(ctx, plan)
	switch {
	case err != nil && plan.Join && isEnd(err):
		return nil // the socket closed by the command's execve
	case err == nil && !report.Ready:
		return errNoReport
	}
	return err
}

// ask sends what the child side waits for and returns what it reports then. A report of
// a failure is an error, and so is none within answerTime or ctx.
func (p *Process) ask(ctx context.Context, what any) (inside.Report, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerTime, errSlow)
	defer cancel()
	if ctx.Err() != nil { // nothing is begun for who has gone
		return inside.Report{}, context.Cause(ctx)
	}
	inTime := context.AfterFunc(ctx, func() { p.sync.SetDeadline(past) })
	sent := make(chan error, 1)
	go func() { sent <- json.NewEncoder(p.sync).Encode(what) }()
	var r inside.Report
	err := p.reports.Decode(&r)
	if err != nil {
		p.sync.SetDeadline(past) // so that the sender ends too
	}
	if sendErr := <-sent; err == nil && sendErr != nil && r == (inside.Report{}) {
		err = sendErr
	}
	if !inTime() { // whatever came: from here on the socket has a deadline that is over
		return r, context.Cause(ctx)
	}
	switch {
	case err != nil:
		return r, fmt.Errorf("%w: %w", errNoReport, err)
	case r.Step != "":
		return r, &stepError{r.Step, r.Errno, r.Path}
	case r.Command != "":
		return r, &CommandError{Message: r.Command, Errno: r.Errno}
	}
	return r, nil
}

// abandon ends the process and returns err, with how the process ended where that is
// what there is to say.
func (p *Process) abandon(err error) error {
	ended := p.end()
	if errors.Is(err, errNoReport) {
		err = fmt.Errorf("the first process ended during set-up: %s", ended)
	}
	return err
}

// end kills the process and says how it ended. One that sleeps in the kernel and hears
// no signal is left to end when it can: its control group holds it.
func (p *Process) end() string {
	_ = p.Kill()
	ended := make(chan string, 1)
	go func() {
		exit, err := p.Wait()
		p.Close()
		ended <- fmt.Sprintf("%v, %v", exit, err)
	}()
	select {
	case how := <-ended:
		return how
	case <-time.After(endTime):
		return "it was killed and has not ended"
	}
}

package launch

import (
	"encoding/json"
	"errors"
	"fmt"

	"bottled/launch/inside"
)

// Prepared is a bottle in which all is ready and nothing runs but its first process. It
// ends by itself when the process that prepared it does. One of Run and Discard must
// be called, once.
type Prepared struct {
	id      string
	process *Process
}

// PID is the number of the first process on the host.
func (p *Prepared) PID() int { return p.process.PID() }

// Run has the command executed, and returns once it is. On an error nothing of the
// bottle is running.
func (p *Prepared) Run() (*Process, error) {
	report, err := p.process.ask(inside.Order{Run: true})
	if err == nil && !report.Started {
		err = errNoReport
	}
	if err != nil {
		return nil, fmt.Errorf("bottle %s: %w", p.id, p.process.abandon(err))
	}
	return p.process, nil
}

// Discard ends the bottle without having run its command.
func (p *Prepared) Discard() {
	_ = p.process.Kill()
	_, _ = p.process.Wait()
	p.process.Close()
}

var errNoReport = errors.New("no report")

// instruct sends the plan and waits until it is carried out.
func (p *Process) instruct(plan inside.Plan) error {
	p.reports = json.NewDecoder(p.sync)
	report, err := p.ask(plan)
	switch {
	case err != nil && plan.Join && isEnd(err):
		return nil // the socket closed by the command's execve
	case err == nil && !report.Ready:
		return errNoReport
	}
	return err
}

// ask sends what the child side waits for and returns what it reports then. A report of
// a failure is an error.
func (p *Process) ask(what any) (inside.Report, error) {
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
	switch {
	case err != nil:
		return r, fmt.Errorf("%w: %w", errNoReport, err)
	case r.Step != "":
		return r, &stepError{r.Step, r.Errno}
	case r.Command != "":
		return r, &CommandError{Message: r.Command, Errno: r.Errno}
	}
	return r, nil
}

// abandon ends the process and returns err, with how the process ended where that is
// what there is to say.
func (p *Process) abandon(err error) error {
	_ = p.Kill()
	exit, waitErr := p.Wait()
	p.Close()
	if errors.Is(err, errNoReport) {
		err = fmt.Errorf("the first process ended during set-up: %v, %v", exit, waitErr)
	}
	return err
}

package worker

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"bottled/audit"
	"bottled/proposal"
)

// Worker is a running worker, seen from the daemon. Its methods may be called
// from several goroutines at once.
type Worker struct {
	PID     int
	Control string // path of its control socket

	process *os.Process // by pidfd, so that a signal can never reach another process
	done    chan struct{}
	pending *pending // until HandOver; nil for one that was adopted

	clientOnce sync.Once
	http       *http.Client
}

// Dial finds a worker that an earlier daemon started, and fails where nothing
// answers on its control socket or what answers is another process.
func Dial(ctx context.Context, pid int, control string) (*Worker, error) {
	w := &Worker{PID: pid, Control: control, done: make(chan struct{})}
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("worker %d: %w", pid, err)
	}
	if w.process, err = os.FindProcess(pid); err != nil {
		unix.Close(pidfd)
		return nil, fmt.Errorf("worker %d: %w", pid, err)
	}
	s, err := w.Stats(ctx)
	if err == nil && s.PID != pid {
		err = fmt.Errorf("its control socket is answered by process %d", s.PID)
	}
	if err != nil {
		unix.Close(pidfd)
		return nil, fmt.Errorf("worker %d: %w", pid, err)
	}
	go w.watch(pidfd)
	return w, nil
}

// Done is closed once the worker has ended.
func (w *Worker) Done() <-chan struct{} { return w.done }

// Kill ends the worker at once. It is no error that it ended before.
func (w *Worker) Kill() { _ = w.process.Kill() }

func (w *Worker) reap(cmd *exec.Cmd) {
	_ = cmd.Wait() // how it ended does not matter: it must not end
	close(w.done)
}

// watch waits for the end of a process that is not our child.
func (w *Worker) watch(pidfd int) {
	defer unix.Close(pidfd)
	defer close(w.done)
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, -1)
		if err != unix.EINTR {
			return
		}
	}
}

// Stats are the worker's own counters.
type Stats struct {
	PID         int    `json:"pid"`
	Generation  uint64 `json:"generation"`
	Routes      int    `json:"routes"`
	Connections int64  `json:"connections"`    // open now
	Accepted    int64  `json:"accepted"`       // connections since it began
	Dropped     uint64 `json:"dropped_events"` // audit events that found the queue full
}

// Stats asks the worker how it is.
func (w *Worker) Stats(ctx context.Context) (Stats, error) {
	var s Stats
	err := w.do(ctx, http.MethodGet, "/stats", nil, func(body io.Reader) error { return json.NewDecoder(body).Decode(&s) })
	return s, err
}

// Idle returns nil once no connection of the bottle is open and every event was
// sent to whoever reads [Worker.Events].
func (w *Worker) Idle(ctx context.Context) error {
	return w.do(ctx, http.MethodGet, "/idle", nil, nil)
}

// Allowlist returns the live route table as /allowlist shows it.
func (w *Worker) Allowlist(ctx context.Context) ([]byte, error) {
	var text []byte
	err := w.do(ctx, http.MethodGet, "/allowlist", nil, func(body io.Reader) (err error) {
		text, err = io.ReadAll(body)
		return err
	})
	return text, err
}

// Update is a new route table with the tokens it needs.
type Update struct {
	Generation uint64            `json:"generation"`
	Routes     []byte            `json:"routes"`
	Tokens     map[string]string `json:"tokens,omitempty"` // by slot
	Expires    Expiries          `json:"expires,omitempty"`
	Keep       map[string]string `json:"keep,omitempty"` // slot of the new table → slot of the old one with the same token
	Base       uint64            `json:"base,omitempty"` // generation of that old one; with Keep it must be in force
}

// String does not show what the update holds.
func (Update) String() string { return "[update]" }

// ErrRefused is a worker's that changed nothing, and said why. Any other error leaves it
// open whether a change came about.
var ErrRefused = errors.New("refused")

// Update replaces the route table. On [ErrRefused] the old one is still in force.
func (w *Worker) Update(ctx context.Context, u Update) error {
	text, err := json.Marshal(u)
	if err != nil {
		return fmt.Errorf("worker: encode the update: %w", err)
	}
	return w.do(ctx, http.MethodPut, "/table", text, nil)
}

// Renewal is new values for tokens of the table in force.
type Renewal struct {
	Generation uint64            `json:"generation"` // of the table that the slots are of
	Tokens     map[string]string `json:"tokens"`     // by slot
	Expires    Expiries          `json:"expires,omitempty"`
}

// String does not show what the renewal holds.
func (Renewal) String() string { return "[renewal]" }

// Renew replaces tokens and leaves the table, its generation and every connection
// as they are. It fails where another table is in force than the renewal is for,
// and changes nothing then.
func (w *Worker) Renew(ctx context.Context, r Renewal) error {
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("worker: encode the renewal: %w", err)
	}
	return w.do(ctx, http.MethodPut, "/tokens", text, nil)
}

// Proposals returns the queue of the agent's proposals once its revision is another
// than the given one, or fails when that takes longer than answerTime. Revision 0 is
// answered at once.
func (w *Worker) Proposals(ctx context.Context, revision uint64) (proposal.Snapshot, error) {
	var s proposal.Snapshot
	path := "/proposals?revision=" + strconv.FormatUint(revision, 10)
	err := w.do(ctx, http.MethodGet, path, nil, func(body io.Reader) error { return json.NewDecoder(body).Decode(&s) })
	return s, err
}

// Decide ends the waiting of a proposal. It fails where the decision is about
// something else than what waits.
func (w *Worker) Decide(ctx context.Context, d proposal.Decision) error {
	text, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("worker: encode the decision: %w", err)
	}
	return w.do(ctx, http.MethodPost, "/decision", text, nil)
}

// pathEvents is the one call whose answer lasts.
const pathEvents = "/events"

// Events calls each for every audit event, oldest first, until ctx ends or the
// worker does. What happened while nobody listened comes first, as far as the
// worker's queue held it.
func (w *Worker) Events(ctx context.Context, each func(audit.Event)) error {
	return w.do(ctx, http.MethodGet, pathEvents, nil, func(body io.Reader) error {
		lines := bufio.NewScanner(body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var e audit.Event
			if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
				return fmt.Errorf("worker %d: audit event: %w", w.PID, err)
			}
			each(e)
		}
		return lines.Err()
	})
}

// Bounds of an answer, but of the stream of events, which lasts.
const (
	answerTime = 20 * time.Second
	maxAnswer  = 16 << 20 // bytes; the allowlist of the largest manifest is a few MiB
)

// do makes one call. A worker is one bottle's and may be in its attacker's hand:
// answers are bounded and its error texts quoted.
func (w *Worker) do(ctx context.Context, method, path string, body []byte, read func(io.Reader) error) error {
	if path != pathEvents {
		bounded, cancel := context.WithTimeout(ctx, answerTime)
		defer cancel()
		ctx = bounded
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://worker"+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("worker %d: %w", w.PID, err)
	}
	resp, err := w.client().Do(req)
	if err != nil {
		return fmt.Errorf("worker %d: %w", w.PID, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
		return fmt.Errorf("worker %d: %s: %w: %s", w.PID, path, ErrRefused, strconv.QuoteToGraphic(string(bytes.TrimSpace(text))))
	}
	if read == nil {
		return nil
	}
	if path == pathEvents {
		return read(resp.Body)
	}
	return read(io.LimitReader(resp.Body, maxAnswer))
}

func (w *Worker) client() *http.Client {
	w.clientOnce.Do(func() {
		w.http = &http.Client{Transport: &http.Transport{
			DisableKeepAlives: true, // a call is rare, an idle descriptor per bottle is not
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", w.Control)
			},
		}}
	})
	return w.http
}

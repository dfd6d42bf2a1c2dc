package secret

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// commandTimeout bounds one run of a command.
	commandTimeout = 30 * time.Second
	// expiryMargin is how long before its expiry a cached token is no longer given
	// out, so that a request that starts now does not arrive with a dead one.
	expiryMargin = 30 * time.Second
)

// command is a program that prints a short-lived token: the token on the first
// line and, if it is to be cached, the time it expires on the second (RFC 3339).
// It runs as the daemon, without a shell and with PATH as its whole environment;
// its standard error is dropped, since nobody can say what is in it.
//
// Concurrent fetches share one run.
type command struct {
	argv []string
	now  func() time.Time

	mu      sync.Mutex // held while the command runs: a second caller waits for the first one's token
	cached  Token
	expires time.Time
}

// newCommand returns the source command:argv. argv[0] is an absolute path.
func newCommand(argv []string) (*command, error) {
	if len(argv) == 0 || !filepath.IsAbs(argv[0]) {
		return nil, errors.New("write the absolute path of a program and its arguments, separated by spaces; there is no shell and no quoting")
	}
	return &command{argv: argv, now: time.Now}, nil
}

// Fetch implements [Source]. A cached token is given out until half a minute before it expires.
func (c *command) Fetch(ctx context.Context) (Token, error) {
	t, _, err := c.lease(ctx, 0)
	return t, err
}

// lease implements [leaser]. A cached token is given out as long as it lives for
// spare more, and half a minute at least.
func (c *command) lease(ctx context.Context, spare time.Duration) (Token, time.Time, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.cached.IsZero() && c.now().Add(max(spare, expiryMargin)).Before(c.expires) {
		return c.cached, c.expires, nil
	}
	c.cached, c.expires = Token{}, time.Time{}
	t, expires, err := c.run(ctx)
	if err != nil {
		return Token{}, time.Time{}, fmt.Errorf("secret command:%s: %w", c.argv[0], err)
	}
	if !expires.IsZero() {
		c.cached, c.expires = t, expires
	}
	return t, expires, nil
}

func (c *command) run(ctx context.Context) (Token, time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	var out limited
	cmd := exec.CommandContext(ctx, c.argv[0], c.argv[1:]...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.Dir = "/"
	cmd.Stdout = &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return Token{}, time.Time{}, fmt.Errorf("gave no token in time: %w", ctx.Err())
	case out.over:
		return Token{}, time.Time{}, ErrTooLong
	case err != nil:
		return Token{}, time.Time{}, err // an exit status or a failed exec: neither holds output
	}
	return parseOutput(out.buf.Bytes(), c.now())
}

// parseOutput reads what a command printed.
func parseOutput(b []byte, now time.Time) (Token, time.Time, error) {
	first, rest, _ := bytes.Cut(b, []byte("\n"))
	t, err := parseValue(append(bytes.Clone(first), '\n'))
	if err != nil {
		return Token{}, time.Time{}, err
	}
	second := strings.TrimSpace(string(rest))
	if second == "" {
		return t, time.Time{}, nil
	}
	expires, err := time.Parse(time.RFC3339, second)
	if err != nil {
		// The error of time.Parse quotes its input, which may be a value on the wrong line.
		return Token{}, time.Time{}, errors.New("the second line is not a time of expiry (RFC 3339)")
	}
	if !expires.After(now) {
		return Token{}, time.Time{}, fmt.Errorf("the token had already expired, at %s", expires.Format(time.RFC3339))
	}
	return t, expires, nil
}

// limited keeps what a command prints, up to a bound.
type limited struct {
	buf  bytes.Buffer
	over bool
}

func (l *limited) Write(p []byte) (int, error) {
	const most = MaxSize + 128 // a token, its line ending, and a time
	if l.buf.Len()+len(p) > most {
		l.over = true
		return 0, ErrTooLong
	}
	return l.buf.Write(p)
}

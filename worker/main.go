package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// drainTimeout is how long connections may take to end after SIGTERM. The bottle
// is gone by then, so there is little to wait for.
const drainTimeout = 2 * time.Second

// Main is the worker process: it receives its handoff on descriptor 3, confines
// itself, and serves until it is told to end. It returns the exit status.
//
// Whatever goes wrong ends the process, and with it the only way out of its bottle.
func Main() int {
	// net/http's Transport has no logger of its own, and prints what an upstream sent
	// without being asked through the global one: bytes that may hold an echoed secret,
	// in words of a stranger's.
	log.SetOutput(io.Discard)
	err := run(os.NewFile(handoffFD, "handoff"))
	if err != nil && !errors.Is(err, errAbandoned) {
		fmt.Fprintf(os.Stderr, "bottled-worker: %v\n", err)
	}
	if err != nil {
		return 1
	}
	return 0
}

func run(socket *os.File) error {
	conn, err := unixConn(socket)
	if err != nil {
		return fmt.Errorf("descriptor %d is not the daemon's socketpair: %w", handoffFD, err)
	}
	socket.Close()
	e, files, err := prepare(conn)
	if err := answer(conn, err); err != nil {
		return err
	}
	return e.serve(files)
}

// prepare does all that can fail before the worker says that it is ready.
func prepare(conn *net.UnixConn) (*enforcer, *sockets, error) {
	if err := confine(); err != nil {
		return nil, nil, err
	}
	h, files, err := receive(conn)
	if err != nil {
		return nil, nil, err
	}
	s, err := open(files)
	if err != nil {
		return nil, nil, err
	}
	e, err := newEnforcer(h, s)
	return e, s, err
}

// answer tells the daemon how prepare went, and returns its error.
func answer(conn *net.UnixConn, err error) error {
	defer conn.Close()
	v := verdict{Ready: err == nil}
	if err != nil {
		v.Error = err.Error()
	}
	return errors.Join(err, json.NewEncoder(io.Writer(conn)).Encode(v))
}

// settle is how long after its start a worker gives back the memory that the start
// took: most bottles are idle most of the time.
const settle = time.Second

// serve runs until SIGTERM or until one of its servers fails, which ends them all:
// half an enforcer is none.
func (e *enforcer) serve(s *sockets) error {
	time.AfterFunc(settle, debug.FreeOSMemory)
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	for _, l := range s.tcp {
		group.Go(func() error { return fmt.Errorf("proxy: %w", e.proxy.Serve(l)) })
	}
	for _, c := range s.dns {
		group.Go(func() error { return fmt.Errorf("dns: %w", e.dns.ServePacket(c)) })
	}
	for _, l := range s.dnsTCP {
		group.Go(func() error { return fmt.Errorf("dns: %w", e.dns.ServeStream(l)) })
	}
	group.Go(func() error { return fmt.Errorf("control: %w", e.control(s.control)) })
	group.Go(func() error {
		<-ctx.Done()
		stop, cancel := context.WithTimeout(context.Background(), drainTimeout)
		defer cancel()
		e.stop(stop)
		s.Close()
		return ctx.Err()
	})
	err := group.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

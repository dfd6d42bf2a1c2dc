package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"bottled/api/client"
)

// connect returns a client of the daemon; where none listens and this is root, of
// one that is served by this process until release is called. A resolver is for that
// one alone: a daemon that listens has its own.
func (a *App) connect(ctx context.Context, socket, resolver string) (c *client.Client, release func(), err error) {
	c = client.New(socket)
	_, err = c.Version(ctx)
	switch {
	case err == nil && resolver == "":
		return c, c.Close, nil
	case err == nil:
		err = usagef("--resolver is for a run without a daemon, and one listens at %s: its own resolver is used (`bottled daemon --resolver`)", socket)
	case errors.Is(err, client.ErrNoDaemon) && os.Geteuid() != 0:
		err = fmt.Errorf("%w; root needs none for this: `sudo bottled run`", err)
	case errors.Is(err, client.ErrNoDaemon) && a.NewDaemon != nil:
		c.Close()
		return a.servePrivately(ctx, resolver)
	}
	c.Close()
	return nil, nil, err
}

// servePrivately starts a daemon of this process's own, on a socket that only root
// can reach.
func (a *App) servePrivately(ctx context.Context, resolver string) (*client.Client, func(), error) {
	dir, unlock, err := privateDir()
	if err != nil {
		return nil, nil, fmt.Errorf("a place for the socket: %w", err)
	}
	discard := func() error { return errors.Join(os.RemoveAll(dir), unlock()) }
	socket := filepath.Join(dir, "bottled.sock")
	d, err := a.NewDaemon(DaemonOptions{
		Socket: socket, Private: true, Resolver: resolver,
		Log: slog.New(slog.NewTextHandler(a.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		return nil, nil, errors.Join(err, discard())
	}
	serving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- d.Serve(serving) }()
	select {
	case err := <-done:
		cancel()
		return nil, nil, errors.Join(err, discard())
	case <-d.Ready():
	}
	c := client.New(socket)
	return c, func() {
		c.Close()
		cancel()
		if err := errors.Join(<-done, discard()); err != nil {
			a.complain(fmt.Errorf("cleaning up: %w", err))
		}
	}, nil
}

// privateDirs is where lone runs have their sockets.
const privateDirs = "/run/bottled-run-"

// privateDir makes a directory for the socket, which is this process's for as long
// as it holds the lock, and removes those of processes that were killed.
func privateDir() (dir string, unlock func() error, err error) {
	old, _ := filepath.Glob(privateDirs + "*")
	for _, dir := range old {
		if f, err := lock(dir); err == nil {
			_ = os.RemoveAll(dir) // the next one tries again
			f.Close()
		}
	}
	if dir, err = os.MkdirTemp(filepath.Dir(privateDirs), filepath.Base(privateDirs)); err != nil {
		return "", nil, err
	}
	f, err := lock(dir)
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	return dir, f.Close, nil
}

func lock(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

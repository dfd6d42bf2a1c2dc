package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"bottled/api/client"
)

// connect returns a client of the daemon; where none listens and this is root, of
// one that is served by this process until release is called.
func (a *App) connect(ctx context.Context, socket, resolver string) (c *client.Client, release func(), err error) {
	c = client.New(socket)
	_, err = c.Version(ctx)
	switch {
	case err == nil:
		return c, c.Close, nil
	case !errors.Is(err, client.ErrNoDaemon) || os.Geteuid() != 0 || a.NewDaemon == nil:
		c.Close()
		return nil, nil, err
	}
	c.Close()
	return a.servePrivately(ctx, resolver)
}

// servePrivately starts a daemon of this process's own, on a socket that only root
// can reach.
func (a *App) servePrivately(ctx context.Context, resolver string) (*client.Client, func(), error) {
	dir, err := os.MkdirTemp("/run", "bottled-run-")
	if err != nil {
		return nil, nil, fmt.Errorf("a place for the socket: %w", err)
	}
	socket := filepath.Join(dir, "bottled.sock")
	d, err := a.NewDaemon(DaemonOptions{
		Socket: socket, Private: true, Resolver: resolver,
		Log: slog.New(slog.NewTextHandler(a.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	serving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- d.Serve(serving) }()
	select {
	case err := <-done:
		cancel()
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	case <-d.Ready():
	}
	c := client.New(socket)
	return c, func() {
		c.Close()
		cancel()
		if err := errors.Join(<-done, os.RemoveAll(dir)); err != nil {
			a.complain(fmt.Errorf("cleaning up: %w", err))
		}
	}, nil
}

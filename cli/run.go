package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"bottled/api"
	"bottled/api/client"
)

// runOptions is the command line of run.
type runOptions struct {
	manifest, name, dir, user, socket, resolver string
	detach, terminal, noTerminal                bool
	learn                                       learnFlag
	env                                         stringsFlag
	command                                     []string
}

func (a *App) runOptions(args []string) (o runOptions, err error) {
	f := flags("run")
	f.StringVar(&o.manifest, "manifest", "", "")
	f.StringVar(&o.name, "name", "", "")
	f.StringVar(&o.dir, "dir", ".", "")
	f.BoolVar(&o.detach, "detach", false, "")
	f.StringVar(&o.user, "user", "", "")
	f.BoolVar(&o.terminal, "t", false, "")
	f.BoolVar(&o.noTerminal, "T", false, "")
	f.StringVar(&o.resolver, "resolver", "", "")
	f.Var(&o.learn, "learn", "")
	f.Var(&o.env, "env", "")
	socket := a.socketFlag(f)
	if err := parseCommand(f, args); err != nil {
		return o, err
	}
	o.socket, o.command = *socket, f.Args()
	switch {
	case len(o.command) == 0:
		return o, usagef("name a command to run")
	case o.detach && o.terminal:
		return o, usagef("-t and --detach exclude each other: a terminal needs somebody at it")
	case o.detach && o.learn.on:
		return o, usagef("--learn and --detach exclude each other: use `bottled suggest BOTTLE` after the run")
	case o.detach && o.resolver != "":
		return o, usagef("--resolver and --detach exclude each other: the daemon has its own resolver")
	}
	return o, nil
}

func (a *App) run(args []string) (int, error) {
	o, err := a.runOptions(args)
	if err != nil {
		return 0, err
	}
	r, err := a.createRequest(o)
	if err != nil {
		return 0, err
	}
	if o.detach {
		return 0, a.runDetached(o.socket, r)
	}
	if r.Terminal, err = a.wantsTerminal(o.terminal, o.noTerminal); err != nil {
		return 0, err
	}
	return a.runAttached(o, r)
}

// createRequest is what the daemon is asked, but for a terminal. It tells the person what
// is worth a note on the way.
func (a *App) createRequest(o runOptions) (r api.CreateRequest, err error) {
	runAs, err := requestedUser(o.user, a.getenv)
	if err != nil {
		return r, err
	}
	m, err := readManifest(o.manifest)
	if err != nil {
		return r, err
	}
	r = api.CreateRequest{Name: o.name, Manifest: m.text, ManifestName: m.name, Files: m.files, Command: o.command, Attached: !o.detach}
	if r.Dir, err = filepath.Abs(o.dir); err != nil {
		return r, fmt.Errorf("working directory: %w", err)
	}
	if runAs == nil && os.Geteuid() == 0 && !filepath.IsAbs(o.dir) {
		// PWD may lead over links, which the daemon does not follow for root. To follow them
		// here would be to follow what somebody else puts there; the kernel's name has none.
		at, err := unix.Getwd()
		if err != nil {
			return r, fmt.Errorf("working directory: %w", err)
		}
		r.Dir = filepath.Join(at, o.dir)
	}
	a.noteShared(r.Dir, homeOf(runAs), o.manifest, m.parsed.Bottle)
	refs, err := m.refs()
	if err != nil {
		return r, err
	}
	if r.Tokens, err = a.tokens(refs); err != nil {
		return r, err
	}
	if r.Env, err = a.environment(o.env, m.parsed.Bottle.Env, refs, runAs); err != nil {
		return r, err
	}
	if runAs != nil {
		r.User, err = wireUser(runAs)
	}
	return r, err
}

func (a *App) runAttached(o runOptions, r api.CreateRequest) (int, error) {
	// From here on an interrupt must not leave anything behind: it is for the
	// bottle, or, before there is one, ends the attempt.
	relayed := make(chan os.Signal, 16)
	signal.Notify(relayed, forwarded...)
	defer signal.Stop(relayed)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c, release, err := a.connect(ctx, o.socket, o.resolver)
	if err != nil {
		return 0, err
	}
	defer release()
	created := func(string) {}
	if o.learn.on {
		l, err := newLesson(o.learn)
		if err != nil {
			return 0, err
		}
		ended := l.discard
		created = func(id string) {
			l.follow(c, id)
			ended = func() { a.finish(l) }
		}
		defer func() { ended() }()
	}
	return a.attached(ctx, relayed, r.Terminal, process{
		start: func(ctx context.Context, files []*os.File) (string, error) {
			b, err := c.Create(ctx, r, files...)
			if err == nil {
				created(b.ID)
			}
			return b.ID, err
		},
		wait: func(ctx context.Context, id string) (api.Exit, error) { return c.Wait(ctx, id, true) },
		signal: func(ctx context.Context, id string, s syscall.Signal) error {
			return c.Signal(ctx, id, api.SignalRequest{Signal: int(s)})
		},
	})
}

func (a *App) runDetached(socket string, r api.CreateRequest) error {
	c := client.New(socket)
	defer c.Close()
	b, err := c.Create(context.Background(), r)
	if errors.Is(err, client.ErrNoDaemon) {
		return fmt.Errorf("--detach needs a daemon that stays: %w", err)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.Stdout, b.ID)
	return err
}

// homeOf is the home of whom a bottle will run as, as far as it is known here.
func homeOf(u *user.User) string {
	if u != nil {
		return u.HomeDir
	}
	home, _ := os.UserHomeDir() // of root, whose bottles have one of their own: nothing is in it
	return home
}

// requestedUser is whom the command runs as where root asks: --user, else who
// called sudo. Nil leaves it to the daemon.
func requestedUser(name string, getenv func(string) (string, bool)) (*user.User, error) {
	if name != "" {
		if os.Geteuid() != 0 {
			return nil, usagef("--user: only root may choose whom a bottle runs as")
		}
		u, err := user.Lookup(name)
		if err != nil {
			u, err = user.LookupId(name)
		}
		if err != nil {
			return nil, usagef("--user %q: there is no such user", name)
		}
		return u, nil
	}
	uid, ok := getenv("SUDO_UID")
	if os.Geteuid() != 0 || !ok || uid == "0" {
		return nil, nil
	}
	u, err := user.LookupId(uid)
	if err != nil {
		return nil, fmt.Errorf("SUDO_UID=%q: there is no such user; name one with --user", uid)
	}
	if gid, ok := getenv("SUDO_GID"); ok {
		u.Gid = gid
	}
	return u, nil
}

func wireUser(u *user.User) (*api.User, error) {
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user %q: uid %q is not a number", u.Username, u.Uid)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user %q: gid %q is not a number", u.Username, u.Gid)
	}
	return &api.User{UID: uint32(uid), GID: uint32(gid)}, nil
}

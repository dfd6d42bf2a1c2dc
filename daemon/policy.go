package daemon

import (
	"errors"
	"io/fs"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"bottled/policy"
)

// floor is the operator's policy file.
type floor struct {
	path string
	// optional says that the file may be missing, and what holds then is the default:
	// nobody said that there is one.
	optional bool
}

// policyFile is the file that an option names; "" is the usual one, if it is there.
func policyFile(path string) floor {
	if path == "" {
		return floor{policy.DefaultPath, true}
	}
	return floor{path: path}
}

// load reads the policy. A file that is there and cannot be read, trusted or
// understood is an error, and never the default.
func (f *floor) load() (*policy.Policy, error) {
	p, err := policy.Load(f.path)
	switch {
	case err == nil:
		f.optional = false // one that vanishes later is a mistake, not a wish for the default
		return p, nil
	case f.optional && errors.Is(err, fs.ErrNotExist):
		return policy.Default(), nil
	}
	return nil, err
}

// reloads reads the policy again at each SIGHUP until stop is called. After an error
// the old one stays in force. A private daemon lives in a program that passes the
// signal on to its command, and reads the policy once.
func (d *Daemon) reloads() (stop func()) {
	if d.o.Private {
		return func() {}
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, unix.SIGHUP)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-done:
				return
			case <-hangups:
				d.reload()
			}
		}
	}()
	return func() {
		signal.Stop(hangups)
		close(done)
	}
}

func (d *Daemon) reload() {
	notifyReloading()
	p, err := d.floor.load()
	if err != nil {
		d.o.Log.Error("the policy was not reloaded: the old one stays in force", "error", err)
		notifyReloaded("the policy was not reloaded: " + err.Error())
		return
	}
	d.manager.SetPolicy(p)
	d.o.Log.Info("policy reloaded", "file", d.floor.path)
	notifyReloaded("policy reloaded")
}

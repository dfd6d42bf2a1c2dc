package bottle

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// sweep releases what instances left behind that no longer live: bottles that a
// killed daemon served by itself. What a living daemon holds is left alone, which
// its lock tells.
//
// A folder that cannot be swept is reported and tried again at the next start; it
// holds no bottle open, because the walls go last.
func (m *Manager) sweep(cgroups, pins string) {
	for _, name := range names(m.o.Run, cgroups, pins) {
		if !strings.HasPrefix(name, selfPrefix) || name == m.o.Instance {
			continue
		}
		err := m.sweepInstance(
			filepath.Join(m.o.Run, name), filepath.Join(cgroups, name), filepath.Join(pins, name))
		switch {
		case errors.Is(err, errInUse):
		case err != nil:
			m.o.Log.Error("cannot release what a dead daemon left", "instance", name, "error", err)
		default:
			m.o.Log.Info("released what a dead daemon left", "instance", name)
		}
	}
}

// sweepInstance releases every bottle of a dead instance and its folders.
func (m *Manager) sweepInstance(state, cgroups, pins string) error {
	if err := os.MkdirAll(state, 0o711); err != nil { // where only the other two are left
		return err
	}
	lock, err := tryLock(state)
	if err != nil {
		return err
	}
	defer lock.Close()
	var errs []error
	for _, id := range names(filepath.Join(state, "bottles"), cgroups, pins) {
		errs = append(errs, m.release(paths{
			state:  filepath.Join(state, "bottles", id),
			cgroup: filepath.Join(cgroups, id),
			pins:   filepath.Join(pins, id),
		}))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return errors.Join(
		ignoreMissing(os.Remove(cgroups)),
		ignoreMissing(os.Remove(pins)),
		os.RemoveAll(state),
	)
}

// names returns the names of all folders in any of the directories, once each.
func names(dirs ...string) []string {
	seen := make(map[string]bool)
	var all []string
	for _, dir := range dirs {
		entries, _ := os.ReadDir(dir) // one that is not there holds nothing
		for _, e := range entries {
			if e.IsDir() && !seen[e.Name()] {
				seen[e.Name()] = true
				all = append(all, e.Name())
			}
		}
	}
	return all
}

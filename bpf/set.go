package bpf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// set is a complete set of pinned programs with their maps.
type set struct {
	kind  *kind
	dir   string
	links map[Hook]link.Link
	maps  map[string]*ebpf.Map // by their names in the source
}

// attachFault is called before each step of an attachment. Tests make one of them fail.
var attachFault = func(step string) error { return nil }

// attach attaches the complete set to the cgroup, pins it in dir, which it makes, and
// opens it. On an error nothing stays attached or pinned.
func (k *kind) attach(cgroupFD int, dir string, c *ebpf.Collection) (*set, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("attach %s: pins at %q: %w: a set that is already there is opened or removed, never attached twice", k.whose, dir, err)
	}
	if err := k.pin(cgroupFD, dir, c); err != nil {
		return nil, errors.Join(fmt.Errorf("attach %s: %w", k.whose, err), Remove(dir))
	}
	s, err := k.open(dir)
	if err != nil {
		return nil, errors.Join(err, Remove(dir))
	}
	return s, nil
}

func (k *kind) pin(cgroupFD int, dir string, c *ebpf.Collection) error {
	for _, hook := range k.hooks {
		if err := attachFault("link " + string(hook)); err != nil {
			return err
		}
		l, err := link.AttachCgroup(link.CgroupOptions{
			Path:    filepath.Join("/proc/self/fd", strconv.Itoa(cgroupFD)),
			Attach:  attachTypes[hook],
			Program: c.Programs[string(hook)],
		})
		if err != nil {
			return fmt.Errorf("%s: %w", hook, err)
		}
		err = l.Pin(filepath.Join(dir, string(hook)))
		// Without its pin the link ends with its last descriptor.
		if err := errors.Join(err, l.Close()); err != nil {
			return fmt.Errorf("pin %s: %w", hook, err)
		}
	}
	for _, p := range k.pins {
		if err := attachFault("map " + p.file); err != nil {
			return err
		}
		if err := c.Maps[p.m].Pin(filepath.Join(dir, p.file)); err != nil {
			return fmt.Errorf("pin %s: %w", p.file, err)
		}
	}
	return nil
}

// open finds what attach pinned in dir, and checks that every hook is there, is of the
// right kind, and that all are attached to one and the same cgroup.
func (k *kind) open(dir string) (_ *set, err error) {
	s := &set{kind: k, dir: dir, links: make(map[Hook]link.Link), maps: make(map[string]*ebpf.Map)}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("%s in %q: %w", k.whose, dir, err), s.Close())
		}
	}()
	for _, hook := range k.hooks {
		l, err := link.LoadPinnedLink(filepath.Join(dir, string(hook)), nil)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrIncomplete, hook, err)
		}
		s.links[hook] = l
	}
	for _, p := range k.pins {
		m, err := ebpf.LoadPinnedMap(filepath.Join(dir, p.file), &ebpf.LoadPinOptions{ReadOnly: !p.writable})
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrIncomplete, p.file, err)
		}
		s.maps[p.m] = m
	}
	_, err = s.CgroupID()
	return s, err
}

// Close gives the descriptors back. The programs stay attached.
func (s *set) Close() error {
	var errs []error
	for _, l := range s.links {
		errs = append(errs, l.Close())
	}
	for _, m := range s.maps {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}

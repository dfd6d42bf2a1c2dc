package bpf

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf/link"
)

// programsOn counts the programs that the kernel runs for the group.
func programsOn(t *testing.T, dir *os.File) int {
	t.Helper()
	n := 0
	for _, attach := range attachTypes {
		found, err := link.QueryPrograms(link.QueryOptions{Target: int(dir.Fd()), Attach: attach})
		must(t, err)
		n += len(found.Programs)
	}
	return n
}

func TestAttachIsComplete(t *testing.T) {
	g := group(t)
	o := options(t, g)
	h := attached(t, o)
	if n := programsOn(t, g); n != len(ofBottle.hooks) {
		t.Errorf("%d programs, want %d", n, len(ofBottle.hooks))
	}
	must(t, h.Verify(o.CgroupFD, o.NetnsCookie))
	text, err := h.Dump()
	must(t, err)
	for _, hook := range ofBottle.hooks {
		if !strings.Contains(text, string(hook)+" program ") {
			t.Errorf("dump has no %s:\n%s", hook, text)
		}
	}
}

func TestAttachRefuses(t *testing.T) {
	g := group(t)
	o := options(t, g)
	zero := o
	zero.NetnsCookie = 0
	if _, err := Attach(zero); err == nil {
		t.Error("attached for no namespace")
	}
	nowhere := o
	nowhere.PinDir = filepath.Join(t.TempDir(), "pins")
	if _, err := Attach(nowhere); err == nil {
		t.Error("pinned outside of a BPF file system")
	}
	if _, err := os.Stat(nowhere.PinDir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left over: %v", err)
	}
	twice := o
	twice.Addresses = append(twice.Addresses, twice.Addresses[0])
	if _, err := Attach(twice); err == nil {
		t.Error("two addresses of a family")
	}
	attached(t, o)
	if _, err := Attach(o); err == nil {
		t.Error("attached twice")
	}
	if n := programsOn(t, g); n != len(ofBottle.hooks) {
		t.Errorf("%d programs, want %d", n, len(ofBottle.hooks))
	}
}

// A fault at any step leaves nothing attached and nothing pinned.
func TestAttachFaults(t *testing.T) {
	g := group(t)
	o := options(t, g)
	broken := errors.New("broken")
	defer func() { attachFault = func(string) error { return nil } }()
	for failAt := 0; ; failAt++ {
		step := 0
		attachFault = func(string) error {
			if step++; step > failAt {
				return broken
			}
			return nil
		}
		h, err := Attach(o)
		if err == nil {
			if step != len(ofBottle.hooks)+len(ofBottle.pins) {
				t.Errorf("%d steps", step)
			}
			must(t, h.Close())
			must(t, Remove(o.PinDir))
			break
		}
		if !errors.Is(err, broken) {
			t.Fatal(err)
		}
		if n := programsOn(t, g); n != 0 {
			t.Fatalf("fault at step %d: %d programs are left", failAt, n)
		}
		if _, err := os.Stat(o.PinDir); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("fault at step %d: pins are left: %v", failAt, err)
		}
	}
}

// The programs go on when nobody holds them, and are found again.
func TestOpenAdopts(t *testing.T) {
	g, other := group(t), group(t)
	o := options(t, g)
	h, err := Attach(o)
	must(t, err)
	must(t, h.Close())
	if out, err := command(t, g, "raw", "1").Output(); err == nil || string(out) != "operation not permitted" {
		t.Errorf("not held: %q, %v", out, err)
	}
	h, err = Open(o.PinDir)
	must(t, err)
	must(t, h.Verify(o.CgroupFD, o.NetnsCookie))
	if err := h.Verify(int(other.Fd()), o.NetnsCookie); err == nil {
		t.Error("another group passed for the bottle's")
	}
	if err := h.Verify(o.CgroupFD, o.NetnsCookie+1); err == nil {
		t.Error("another namespace passed for the bottle's")
	}
	if err := h.Verify(o.CgroupFD, 0); err == nil {
		t.Error("no namespace passed for the bottle's")
	}
	must(t, h.Close())
	must(t, Remove(o.PinDir))
	must(t, Remove(o.PinDir))
	if n := programsOn(t, g); n != 0 {
		t.Errorf("%d programs after Remove", n)
	}
	if _, err := Open(o.PinDir); !errors.Is(err, ErrIncomplete) {
		t.Errorf("opened what was removed: %v", err)
	}
}

// Remove detaches even while another process holds the links.
func TestRemoveDetaches(t *testing.T) {
	g := group(t)
	o := options(t, g)
	h, err := Attach(o)
	must(t, err)
	defer h.Close()
	must(t, Remove(o.PinDir))
	if n := programsOn(t, g); n != 0 {
		t.Errorf("%d programs after Remove", n)
	}
	if err := h.Verify(o.CgroupFD, o.NetnsCookie); !errors.Is(err, ErrIncomplete) {
		t.Errorf("Verify after Remove: %v", err)
	}
}

// A set with one pin or one link less is not taken for a bottle's.
func TestOpenRefusesAnIncompleteSet(t *testing.T) {
	for _, hook := range ofBottle.hooks {
		g := group(t)
		o := options(t, g)
		h := attached(t, o)
		l, err := link.LoadPinnedLink(filepath.Join(o.PinDir, string(hook)), nil)
		must(t, err)
		must(t, errors.Join(l.Detach(), l.Close()))
		if err := h.Verify(o.CgroupFD, o.NetnsCookie); !errors.Is(err, ErrIncomplete) {
			t.Errorf("%s detached: Verify: %v", hook, err)
		}
		if _, err := Open(o.PinDir); !errors.Is(err, ErrIncomplete) {
			t.Errorf("%s detached: Open: %v", hook, err)
		}
		must(t, os.Remove(filepath.Join(o.PinDir, string(hook))))
		if _, err := Open(o.PinDir); !errors.Is(err, ErrIncomplete) {
			t.Errorf("%s gone: Open: %v", hook, err)
		}
		must(t, Remove(o.PinDir))
	}
	for _, pin := range ofBottle.pins {
		o := options(t, group(t))
		attached(t, o)
		must(t, os.Remove(filepath.Join(o.PinDir, pin.file)))
		if _, err := Open(o.PinDir); !errors.Is(err, ErrIncomplete) {
			t.Errorf("%s gone: Open: %v", pin.file, err)
		}
		must(t, Remove(o.PinDir))
	}
}

// Constants that nobody set allow nothing.
func TestZeroConstantsDeny(t *testing.T) {
	g := group(t)
	o := options(t, g)
	control, err := command(t, g, "udp", "127.0.0.1:53").Output()
	if err != nil {
		t.Fatalf("control: %q, %v", control, err)
	}
	for _, byMark := range []bool{false, true} {
		collection, err := load(Options{ByMark: byMark})
		must(t, err)
		defer collection.Close()
		must(t, os.Mkdir(o.PinDir, 0o700))
		must(t, ofBottle.pin(o.CgroupFD, o.PinDir, collection))
		if out, err := command(t, g, "udp", "127.0.0.1:53").Output(); err == nil || string(out) != "operation not permitted" {
			t.Errorf("%q, %v", out, err)
		}
		must(t, Remove(o.PinDir))
	}
}

func TestProbe(t *testing.T) {
	o := options(t, group(t))
	for _, o.ByMark = range []bool{false, true} {
		marks := false
		for _, f := range Probe(o) {
			if f.Err != nil || f.Name == "" || f.Detail == "" || f.Fix == "" {
				t.Errorf("%s: %q, %v: %s", f.Name, f.Detail, f.Err, f.Fix)
			}
			marks = marks || strings.Contains(f.Detail, "marks")
		}
		if marks != (o.ByMark || older(t)) {
			t.Errorf("by mark %t, told %t", o.ByMark, marks)
		}
	}
	o.PinDir = filepath.Join(t.TempDir(), "pins")
	missing := 0
	for _, f := range Probe(o) {
		if f.Err != nil {
			missing++
		}
	}
	if missing != 2 {
		t.Errorf("%d features are missing without a BPF file system, want it and the trial", missing)
	}
}

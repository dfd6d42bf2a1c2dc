package bpf

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf/link"
)

var (
	web    = Opening{Port: 443}
	office = Opening{Port: 5432, To: netip.MustParsePrefix("10.1.0.0/16")}
	names  = netip.MustParseAddrPort("127.0.0.53:53")
)

func fenceOptions(t testing.TB, dir *os.File, r Reach) FenceOptions {
	return FenceOptions{CgroupFD: int(dir.Fd()), PinDir: options(t, dir).PinDir + "-fence", Reach: r}
}

func fenced(t testing.TB, o FenceOptions) *Fence {
	t.Helper()
	f, err := AttachFence(o)
	must(t, err)
	t.Cleanup(func() {
		must(t, f.Close())
		must(t, Remove(o.PinDir))
	})
	return f
}

func TestFenceIsComplete(t *testing.T) {
	g, other := group(t), group(t)
	f := fenced(t, fenceOptions(t, g, Reach{Openings: []Opening{office, web, web}, Resolvers: []netip.AddrPort{names}}))
	if n := programsOn(t, g); n != len(ofEnforcer.hooks) {
		t.Errorf("%d programs, want %d", n, len(ofEnforcer.hooks))
	}
	must(t, f.Verify(int(g.Fd())))
	if err := f.Verify(int(other.Fd())); err == nil {
		t.Error("another group passed for the enforcer's")
	}
	got, err := f.Reach()
	must(t, err)
	if !slices.Equal(got.Openings, []Opening{web, office}) || !slices.Equal(got.Resolvers, []netip.AddrPort{names}) {
		t.Errorf("reaches %v", got)
	}
	text, err := f.Dump()
	must(t, err)
	for _, line := range []string{"may reach port 443 of public addresses\n", "may reach port 5432 of 10.1.0.0/16\n", "may ask 127.0.0.53:53\n", "connect4 program "} {
		if !strings.Contains(text, line) {
			t.Errorf("dump has no %q:\n%s", line, text)
		}
	}
}

// A fault at any step leaves nothing attached and nothing pinned.
func TestFenceFaults(t *testing.T) {
	g := group(t)
	o := fenceOptions(t, g, Reach{})
	broken := errors.New("broken")
	defer func() { attachFault = func(string) error { return nil } }()
	for failAt := range len(ofEnforcer.hooks) + len(ofEnforcer.pins) {
		step := 0
		attachFault = func(string) error {
			if step++; step > failAt {
				return broken
			}
			return nil
		}
		if _, err := AttachFence(o); !errors.Is(err, broken) {
			t.Fatalf("fault at step %d: %v", failAt, err)
		}
		if n := programsOn(t, g); n != 0 {
			t.Fatalf("fault at step %d: %d programs are left", failAt, n)
		}
		if _, err := os.Stat(o.PinDir); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("fault at step %d: pins are left: %v", failAt, err)
		}
	}
}

// The programs go on when nobody holds them, are found again, and a set with one link or
// one pin less is not taken for an enforcer's. Pins in a bottle's directory go with it.
func TestOpenFence(t *testing.T) {
	g := group(t)
	o := fenceOptions(t, g, Reach{})
	f, err := AttachFence(o)
	must(t, err)
	must(t, f.Close())
	if out, err := command(t, g, "raw", "1").Output(); err == nil || string(out) != "operation not permitted" {
		t.Errorf("not held: %q, %v", out, err)
	}
	f, err = OpenFence(o.PinDir)
	must(t, err)
	must(t, f.Verify(o.CgroupFD))
	must(t, errors.Join(f.Close(), Remove(o.PinDir)))

	for _, hook := range ofEnforcer.hooks {
		f := fenced(t, o)
		l, err := link.LoadPinnedLink(filepath.Join(o.PinDir, string(hook)), nil)
		must(t, err)
		must(t, errors.Join(l.Detach(), l.Close()))
		if err := f.Verify(o.CgroupFD); !errors.Is(err, ErrIncomplete) {
			t.Errorf("%s detached: Verify: %v", hook, err)
		}
		if _, err := OpenFence(o.PinDir); !errors.Is(err, ErrIncomplete) {
			t.Errorf("%s detached: OpenFence: %v", hook, err)
		}
		must(t, Remove(o.PinDir))
	}
	for _, p := range ofEnforcer.pins {
		fenced(t, o)
		must(t, os.Remove(filepath.Join(o.PinDir, p.file)))
		if _, err := OpenFence(o.PinDir); !errors.Is(err, ErrIncomplete) {
			t.Errorf("%s gone: OpenFence: %v", p.file, err)
		}
		must(t, Remove(o.PinDir))
	}

	parent := options(t, g)
	attached(t, parent)
	o.PinDir = filepath.Join(parent.PinDir, "enforcer")
	fenced(t, o)
	must(t, Remove(parent.PinDir))
	if n := programsOn(t, g); n != 0 {
		t.Errorf("%d programs after Remove of what is around them", n)
	}
}

// The table is replaced as a whole; one that is too large leaves the old one.
func TestFenceAllow(t *testing.T) {
	f := fenced(t, fenceOptions(t, group(t), Reach{Openings: []Opening{web}}))
	var many Reach
	many.Openings = append(many.Openings, web)
	for port := range 1 << 16 {
		many.Openings = append(many.Openings, Opening{uint16(port), netip.MustParsePrefix("10.0.0.0/8")})
	}
	if err := f.Allow(many); err == nil || !strings.Contains(err.Error(), "65537 entries") {
		t.Errorf("more than a table holds: %v", err)
	}
	if r, err := f.Reach(); err != nil || !slices.Equal(r.Openings, []Opening{web}) {
		t.Errorf("after a refusal: %v, %v", r, err)
	}
	must(t, f.Allow(Reach{}.And(Reach{Resolvers: []netip.AddrPort{names}})))
	if r, err := f.Reach(); err != nil || len(r.Openings) > 0 || !slices.Equal(r.Resolvers, []netip.AddrPort{names}) {
		t.Errorf("after a change: %v, %v", r, err)
	}
}

// Tables that nobody filled let nothing through.
func TestEmptyFenceDenies(t *testing.T) {
	g := group(t)
	if out, err := command(t, g, "udp", "127.0.0.1:123").Output(); err != nil {
		t.Fatalf("control: %q, %v", out, err)
	}
	f := fenced(t, fenceOptions(t, g, Reach{}))
	if out, err := command(t, g, "udp", "127.0.0.1:123").Output(); err == nil || string(out) != "operation not permitted" {
		t.Errorf("an empty table: %q, %v", out, err)
	}
	must(t, f.maps[fenceMapReach].Delete(uint32(0)))
	if out, err := command(t, g, "udp", "127.0.0.1:123").Output(); err == nil || string(out) != "operation not permitted" {
		t.Errorf("no table: %q, %v", out, err)
	}
	c, err := f.Counts()
	if err != nil || c.Refused[ReasonDestination] != 2 {
		t.Errorf("counted %v, %v", c, err)
	}
}

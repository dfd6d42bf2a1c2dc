package bpf

import (
	"errors"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
)

// On a kernel whose packet programs lack the helper that tells the namespace, the
// programs load when they go by marks, and do not load when they do not: that the
// constant is forgotten is an error, never a bottle that is held by nothing. A helper
// that packet programs have on no kernel stands in for the one that is missing.
func TestMissingHelper(t *testing.T) {
	const missing = asm.FnSkRedirectMap
	for _, c := range []struct {
		home  programsBottle
		loads bool
	}{
		{programsBottle{NetnsCookie: 1, ByMark: 1}, true},
		{programsBottle{NetnsCookie: 1}, false},
		{programsBottle{}, false},
	} {
		parsed, err := spec()
		must(t, err)
		bottle := parsed.Copy()
		replaced := 0
		for i, ins := range bottle.Programs[string(Egress)].Instructions {
			if ins.IsBuiltinCall() && ins.Constant == int64(asm.FnGetNetnsCookie) {
				bottle.Programs[string(Egress)].Instructions[i].Constant = int64(missing)
				replaced++
			}
		}
		if replaced != 1 {
			t.Fatalf("the helper is called at %d places", replaced)
		}
		must(t, bottle.Variables["home"].Set(c.home))
		collection, err := ebpf.NewCollection(bottle)
		if (err == nil) != c.loads {
			t.Errorf("by mark %d: %v", c.home.ByMark, err)
		}
		if err == nil {
			collection.Close()
		}
	}
}

// A set goes by what was asked for when it was attached, also for whoever opens it later.
func TestByMark(t *testing.T) {
	for _, byMark := range []bool{false, true} {
		g := group(t)
		o := options(t, g)
		o.ByMark = byMark
		attached(t, o)
		h, err := Open(o.PinDir)
		must(t, err)
		must(t, h.Verify(o.CgroupFD, o.NetnsCookie))
		if err := h.Verify(o.CgroupFD, o.NetnsCookie+1); err == nil {
			t.Error("another namespace passed for the bottle's")
		}
		if got, err := h.ByMark(); got != (byMark || older(t)) || err != nil {
			t.Errorf("got %t, %v, asked for %t", got, err, byMark)
		}
		must(t, h.Close())
		must(t, Remove(o.PinDir))
	}
}

// older says whether the kernel leaves no choice, before Linux 6.15.
func older(t *testing.T) bool {
	t.Helper()
	err := features.HaveProgramHelper(ebpf.CGroupSKB, asm.FnGetNetnsCookie)
	if err != nil && !errors.Is(err, ebpf.ErrNotSupported) {
		t.Fatal(err)
	}
	return err != nil
}

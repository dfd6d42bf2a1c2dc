package walls

import (
	"testing"

	"bottled/bpf"
)

// What the programs cost a launch.
func BenchmarkAttach(b *testing.B) {
	ns, _ := newBottle(b)
	group := newGroup(b)
	for b.Loop() {
		o := attachment{group: group, ns: ns}.options(pinDir())
		h, err := bpf.Attach(o)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		h.Close()
		if err := bpf.Remove(o.PinDir); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// What the fence of its enforcer costs.
func BenchmarkAttachFence(b *testing.B) {
	group := newGroup(b)
	for b.Loop() {
		o := bpf.FenceOptions{CgroupFD: group.FD(), PinDir: pinDir(), Reach: usual}
		f, err := bpf.AttachFence(o)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		f.Close()
		if err := bpf.Remove(o.PinDir); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

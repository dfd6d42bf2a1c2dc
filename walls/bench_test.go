package walls

import (
	"fmt"
	"os"
	"testing"

	"bottled/bpf"
)

// What the programs cost a launch.
func BenchmarkAttach(b *testing.B) {
	ns, plan := newBottle(b)
	group := newGroup(b)
	for b.Loop() {
		o := bpf.Options{
			CgroupFD: group.FD(), NetnsCookie: ns.Cookie(), Addresses: plan.Addresses(),
			PinDir: fmt.Sprintf("%s/walls-bench-%d-%d", bpffs, os.Getpid(), serial()),
		}
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

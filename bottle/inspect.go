package bottle

import (
	"context"
	"fmt"

	"bottled/bpf"
	"bottled/netns"
)

// Inspect tells everything about a bottle; of one that runs, also what the kernel
// and the enforcer say at this moment. What cannot be read back is said so in its
// place.
func (m *Manager) Inspect(ctx context.Context, c Caller, ref string) (Details, error) {
	b, err := m.find(c, ref)
	if err != nil {
		return Details{}, err
	}
	d := Details{Info: b.Info(), Manifest: b.manifest(), Chain: b.record.Chain.shown()}
	if b.running() != nil {
		return d, nil
	}
	if d.Allowlist, err = b.worker.Allowlist(ctx); err != nil {
		return Details{}, fmt.Errorf("bottle %q: %w", b.record.Name, err)
	}
	d.Kernel = map[string]string{
		"namespace": readBack(b.dumpNamespace),
		"hooks":     readBack(b.dumpHooks),
		"fence":     readBack(b.fence.Dump),
	}
	return d, nil
}

// manifest is the text of the manifest in force.
func (b *bottle) manifest() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.record.Manifest
}

func readBack(dump func() (string, error)) string {
	text, err := dump()
	if err != nil {
		return "cannot be read back: " + err.Error()
	}
	return text
}

func (b *bottle) dumpNamespace() (string, error) {
	ns, err := netns.OpenPID(b.record.Init.PID, netns.ID{Inode: b.record.NetNS, Cookie: b.record.NetNSCookie})
	if err != nil {
		return "", err
	}
	defer ns.Close()
	return ns.Dump()
}

func (b *bottle) dumpHooks() (string, error) {
	hooks, err := bpf.Open(b.paths.hooks())
	if err != nil {
		return "", err
	}
	defer hooks.Close()
	return hooks.Dump()
}

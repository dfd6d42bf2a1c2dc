package bpf

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"

	"bottled/attack"
)

// The pins are for root alone: a program in a bottle that sees a BPF file system can
// neither detach a link nor write a table.
func TestAttackPins(t *testing.T) {
	o := options(t, group(t))
	h := attached(t, o)
	detached := func() bool { return h.Verify(o.CgroupFD, o.NetnsCookie) != nil }
	for _, pin := range []string{"flows", "owners", "counts", "constants", "refusals", string(SockCreate), string(Egress)} {
		act := func(uid uint32) attack.Probe {
			return func(t *testing.T) error {
				cmd := command(t, nil, "unpin", filepath.Join(o.PinDir, pin))
				cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uid, Gid: uid}
				out, err := cmd.Output()
				if err != nil {
					return errors.New(string(out))
				}
				return nil
			}
		}
		attack.Stopped(t, "K51", "open the pin "+pin, act(0), act(65534))
	}
	if detached() {
		t.Error("the set is not whole any more")
	}
}

package walls

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bottled/attack"
)

// A class of cgroup v1 on a socket took the place of its group before Linux 5.15, and
// with it the programs went blind (net/core/sock.c, sock_cgroup_data). They see it here.
func TestAttackLegacyClass(t *testing.T) {
	w := newWire(t)
	bottle, _ := newBottle(t)
	group := newGroup(t)
	attach(t, group, bottle)
	dir := t.TempDir()
	must(t, unix.Mount("none", dir, "cgroup", 0, "net_cls"))
	t.Cleanup(func() { must(t, unix.Unmount(dir, 0)) })
	class := filepath.Join(dir, fmt.Sprintf("walls-%d", os.Getpid()))
	must(t, os.Mkdir(class, 0o755))
	t.Cleanup(func() { must(t, os.Remove(class)) })
	must(t, os.WriteFile(filepath.Join(class, "net_cls.classid"), []byte("0x100001"), 0))
	move := func(to string) {
		must(t, os.WriteFile(filepath.Join(to, "cgroup.procs"), fmt.Append(nil, os.Getpid()), 0))
	}
	try := func(who actor, to netip.Addr, patience time.Duration) error {
		move(class) // and what is started from here
		defer move(dir)
		said := who.runAlone(t, "tcp", netip.AddrPortFrom(to, 443).String())
		return errors.Join(said, silent(!w.saw(to, patience)))
	}
	attack.Stopped(t, "K63", "a process with a class of net_cls",
		func(*testing.T) error { return try(actor{ns: w.ns}, sinkAddr4(1), arrives) },
		func(*testing.T) error {
			said := try(actor{ns: w.ns, cg: group}, sinkAddr4(2), 20*time.Millisecond)
			if w.saw(sinkAddr4(2), 0) {
				return nil
			}
			return said
		})
}

// A bottle fills the table of who holds which socket: it has no more sockets, and
// another bottle, whose table is another, has as many as before.
func TestAttackFullTable(t *testing.T) {
	bottle, _ := served(t)
	neighbour, _ := served(t)
	group, other := newGroup(t), newGroup(t)
	attach(t, group, bottle)
	attach(t, other, neighbour)
	const target = "192.0.2.1:443"
	connect := func(who actor) error { return who.runAlone(t, "tcp", target) }
	greedy := actor{ns: bottle, cg: group}
	attack.Stopped(t, "X18", "a socket more than there is room for",
		func(*testing.T) error { return errors.Join(connect(greedy), connect(actor{ns: neighbour, cg: other})) },
		func(t *testing.T) error {
			if err := greedy.run(t, "sockets", ""); err == nil {
				return nil
			}
			said := connect(greedy)
			if err := connect(actor{ns: neighbour, cg: other}); err != nil {
				t.Errorf("the bottle beside it: %v", err)
			}
			return said
		})
}

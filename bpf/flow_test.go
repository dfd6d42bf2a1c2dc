package bpf

import (
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// A process without any capability reads flows by the descriptor it was given, and
// cannot change them.
func TestFlowsWithoutPrivilege(t *testing.T) {
	o := options(t, group(t))
	h := attached(t, o)
	table, err := ebpf.LoadPinnedMap(filepath.Join(o.PinDir, "flows"), nil)
	must(t, err)
	defer table.Close()
	key := programsFlowKey{LocalPort: 1000, RemotePort: 443}
	key.Local.Word, key.Remote.Word = words(netip.MustParseAddr("192.0.2.1")), words(netip.MustParseAddr("192.0.2.2"))
	value := programsFlow{Process: programsProcess{Tgid: 42, Tid: 43, Uid: 1000, Comm: [16]uint8{'n', 'p', 'm'}}}
	must(t, table.Put(&key, &value))

	for act, want := range map[string]string{"flow": "", "change": "operation not permitted"} {
		fd, err := h.FlowsFD()
		must(t, err)
		file := os.NewFile(uintptr(fd), "flows")
		cmd := command(t, nil, act)
		cmd.ExtraFiles = []*os.File{file}
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
		out, err := cmd.Output()
		file.Close()
		if want != "" {
			if err == nil || !strings.Contains(string(out), want) {
				t.Errorf("%s: %q, %v", act, out, err)
			}
			continue
		}
		var p Process
		if err != nil || json.Unmarshal(out, &p) != nil || p != (Process{PID: 42, TID: 43, UID: 1000, Comm: "npm"}) {
			t.Errorf("%s: %q, %v", act, out, err)
		}
	}
}

// changeMap tries to write through the descriptor.
func changeMap(fd int) error {
	table, err := ebpf.NewMapFromFD(fd)
	if err != nil {
		return err
	}
	err = table.Put(&programsFlowKey{}, &programsFlow{})
	if err == nil {
		return nil
	}
	if errors.Is(err, unix.EPERM) {
		return unix.EPERM
	}
	return err
}

func TestFlowsOfAnotherShape(t *testing.T) {
	table, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	must(t, err)
	defer table.Close()
	fd, err := unix.FcntlInt(uintptr(table.FD()), unix.F_DUPFD_CLOEXEC, 3)
	must(t, err)
	if _, err := NewFlows(fd); err == nil {
		t.Error("taken")
	}
	var none Flows
	if _, ok := none.Flow(netip.AddrPort{}, netip.AddrPort{}); ok {
		t.Error("the zero value found something")
	}
}

func TestSYN(t *testing.T) {
	tcp := []byte{0, 80, 0, 81, 1, 2, 3, 4, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0}
	v4 := append([]byte{0x45, 19: 0}, tcp...)
	v4options := append([]byte{0x46, 23: 0}, tcp...)
	v6 := append([]byte{0x60, 39: 0}, tcp...)
	for name, h := range map[string][]byte{"v4": v4, "v4 with options": v4options, "v6": v6} {
		if isn, err := synISN(h); isn != 0x01020304 || err != nil {
			t.Errorf("%s: %#x, %v", name, isn, err)
		}
		for cut := range h {
			if _, err := synISN(h[:cut]); err == nil {
				t.Errorf("%s cut to %d bytes was taken", name, cut)
			}
		}
	}
	if _, err := synISN(append([]byte{0x10, 59: 0}, tcp...)); err == nil {
		t.Error("neither IPv4 nor IPv6 was taken")
	}
}

func TestAddressRoundTrip(t *testing.T) {
	for _, s := range []string{"0.0.0.0", "127.0.0.1", "255.255.255.255", "::", "::1", "2001:db8::1", "fe80::1"} {
		a := netip.MustParseAddr(s)
		if got := address(words(a)); got != a {
			t.Errorf("%v became %v", a, got)
		}
	}
	if address(words(netip.MustParseAddr("::ffff:1.2.3.4"))) != netip.MustParseAddr("1.2.3.4") {
		t.Error("a mapped address is not the IPv4 address")
	}
}

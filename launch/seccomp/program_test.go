package seccomp

import (
	"encoding/binary"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// answer runs the filter on one call without a kernel. The virtual machine of
// x/net/bpf reads network byte order, so the words are laid out in that.
func answer(t *testing.T, o Options, arch, number uint32, args ...uint32) uint32 {
	t.Helper()
	raw, err := Program(o)
	if err != nil {
		t.Fatal(err)
	}
	return run(t, raw, arch, number, args...)
}

func run(t *testing.T, raw []bpf.RawInstruction, arch, number uint32, args ...uint32) uint32 {
	t.Helper()
	insts, ok := bpf.Disassemble(raw)
	if !ok {
		t.Fatal("the filter does not disassemble")
	}
	vm, err := bpf.NewVM(insts)
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, offsetArgs+6*8)
	binary.BigEndian.PutUint32(data[offsetNumber:], number)
	binary.BigEndian.PutUint32(data[offsetArch:], arch)
	for i, a := range args {
		binary.BigEndian.PutUint32(data[offsetArgs+8*i:], a)
	}
	ret, err := vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(ret)
}

func refused(e unix.Errno) uint32 { return unix.SECCOMP_RET_ERRNO | uint32(e) }

func TestForeignNumbers(t *testing.T) {
	for _, c := range []struct {
		name         string
		arch, number uint32
		want         uint32
	}{
		{"native getpid", nativeArch, unix.SYS_GETPID, unix.SECCOMP_RET_ALLOW},
		{"i386", unix.AUDIT_ARCH_I386, unix.SYS_GETPID, unix.SECCOMP_RET_KILL_PROCESS},
		{"another architecture", unix.AUDIT_ARCH_MIPS64, unix.SYS_GETPID, unix.SECCOMP_RET_KILL_PROCESS},
		{"x32 getpid", nativeArch, 0x40000000 | unix.SYS_GETPID, refused(unix.ENOSYS)},
		{"x32 socket", nativeArch, 0x40000000 | unix.SYS_SOCKET, refused(unix.ENOSYS)},
		{"number -1", nativeArch, 0xffffffff, refused(unix.ENOSYS)},
		{"the last known", nativeArch, lastKnown, unix.SECCOMP_RET_ALLOW},
		{"the first unknown", nativeArch, lastKnown + 1, refused(unix.ENOSYS)},
	} {
		if got := answer(t, Options{}, c.arch, c.number); got != c.want {
			t.Errorf("%s: %#x, want %#x", c.name, got, c.want)
		}
	}
}

// socketOracle is the rule of the package comment, written down the slow way.
func socketOracle(family, kind, protocol uint32) uint32 {
	switch family {
	case unix.AF_UNIX:
		return unix.SECCOMP_RET_ALLOW
	case unix.AF_NETLINK:
		if protocol == unix.NETLINK_ROUTE {
			return unix.SECCOMP_RET_ALLOW
		}
		return refused(unix.EPROTONOSUPPORT)
	case unix.AF_INET, unix.AF_INET6:
		if k := kind & 0xf; k != unix.SOCK_STREAM && k != unix.SOCK_DGRAM {
			return refused(unix.EPERM)
		}
		if protocol == 0 || protocol == unix.IPPROTO_TCP || protocol == unix.IPPROTO_UDP {
			return unix.SECCOMP_RET_ALLOW
		}
		return refused(unix.EPROTONOSUPPORT)
	}
	return refused(unix.EAFNOSUPPORT)
}

func TestSocketAgainstOracle(t *testing.T) {
	raw, err := Program(Options{UserNamespaces: true}) // opens no family
	if err != nil {
		t.Fatal(err)
	}
	insts, _ := bpf.Disassemble(raw)
	vm, err := bpf.NewVM(insts)
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, offsetArgs+6*8)
	binary.BigEndian.PutUint32(data[offsetNumber:], unix.SYS_SOCKET)
	binary.BigEndian.PutUint32(data[offsetArch:], nativeArch)
	for _, family := range append(numbers(0, 64), 256, 0xffffffff) {
		for _, kind := range []uint32{0, 1, 2, 3, 4, 5, 6, 10, 1 | unix.SOCK_CLOEXEC, 3 | unix.SOCK_NONBLOCK, 2 | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK, 0xffffffff} {
			for _, protocol := range append(numbers(0, 300), 0xffffffff) {
				binary.BigEndian.PutUint32(data[offsetArgs:], family)
				binary.BigEndian.PutUint32(data[offsetArgs+8:], kind)
				binary.BigEndian.PutUint32(data[offsetArgs+16:], protocol)
				got, err := vm.Run(data)
				if err != nil {
					t.Fatal(err)
				}
				if want := socketOracle(family, kind, protocol); uint32(got) != want {
					t.Fatalf("socket(%d, %#x, %d): %#x, want %#x", family, kind, protocol, got, want)
				}
			}
		}
	}
}

func numbers(from, to uint32) []uint32 {
	var list []uint32
	for n := from; n < to; n++ {
		list = append(list, n)
	}
	return list
}

func TestUserNamespaces(t *testing.T) {
	const eperm = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	for _, c := range []struct {
		name         string
		number       uint32
		args         []uint32
		closed, open uint32
	}{
		{"clone for a thread", unix.SYS_CLONE, []uint32{unix.CLONE_VM | unix.CLONE_THREAD}, unix.SECCOMP_RET_ALLOW, unix.SECCOMP_RET_ALLOW},
		{"clone NEWUSER", unix.SYS_CLONE, []uint32{unix.CLONE_NEWUSER | unix.CLONE_NEWPID}, eperm, unix.SECCOMP_RET_ALLOW},
		{"clone NEWCGROUP", unix.SYS_CLONE, []uint32{unix.CLONE_NEWCGROUP}, eperm, eperm},
		{"unshare NEWNET", unix.SYS_UNSHARE, []uint32{unix.CLONE_NEWNET}, eperm, unix.SECCOMP_RET_ALLOW},
		{"unshare NEWTIME", unix.SYS_UNSHARE, []uint32{unix.CLONE_NEWTIME}, eperm, eperm},
		{"unshare FS", unix.SYS_UNSHARE, []uint32{unix.CLONE_FS}, unix.SECCOMP_RET_ALLOW, unix.SECCOMP_RET_ALLOW},
		{"clone3", unix.SYS_CLONE3, nil, refused(unix.ENOSYS), refused(unix.ENOSYS)},
		{"mount", unix.SYS_MOUNT, nil, eperm, unix.SECCOMP_RET_ALLOW},
		{"chroot", unix.SYS_CHROOT, nil, eperm, unix.SECCOMP_RET_ALLOW},
		{"open_tree", unix.SYS_OPEN_TREE, nil, eperm, eperm},
		{"setns", unix.SYS_SETNS, nil, eperm, eperm},
		{"bpf", unix.SYS_BPF, nil, eperm, eperm},
		{"AF_PACKET", unix.SYS_SOCKET, []uint32{unix.AF_PACKET, 3, 0}, refused(unix.EAFNOSUPPORT), refused(unix.EAFNOSUPPORT)},
	} {
		if got := answer(t, Options{}, nativeArch, c.number, c.args...); got != c.closed {
			t.Errorf("%s: %#x, want %#x", c.name, got, c.closed)
		}
		if got := answer(t, Options{UserNamespaces: true}, nativeArch, c.number, c.args...); got != c.open {
			t.Errorf("%s with user namespaces: %#x, want %#x", c.name, got, c.open)
		}
	}
}

func TestLoadRefusesAnEmptyFilter(t *testing.T) {
	if err := Load(nil); err == nil {
		t.Error("no filter at all was loaded without an error")
	}
}

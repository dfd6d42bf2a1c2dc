package seccomp

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Offsets in struct seccomp_data (linux/seccomp.h), little endian.
const (
	offsetNumber = 0
	offsetArch   = 4
	offsetArgs   = 16
)

// Options choose between the two filters there are. The zero value is the
// stricter one.
type Options struct {
	UserNamespaces bool // reopen namespaces for programs that bring their own sandbox
}

// Program assembles the filter for the architecture of this build. It is pure,
// and fails only when the table itself does not assemble.
func Program(o Options) ([]bpf.RawInstruction, error) { return assemble(rules(o)) }

func assemble(table []rule) ([]bpf.RawInstruction, error) {
	prog := []bpf.Instruction{
		bpf.LoadAbsolute{Off: offsetArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: nativeArch, SkipTrue: 1},
		bpf.RetConstant{Val: unix.SECCOMP_RET_KILL_PROCESS},
		bpf.LoadAbsolute{Off: offsetNumber, Size: 4},
		// One comparison refuses both the x32 numbers and the calls that are
		// younger than the table: nobody has judged those yet.
		bpf.JumpIf{Cond: bpf.JumpGreaterThan, Val: lastKnown, SkipFalse: 1},
		refuse(unix.ENOSYS),
	}
	seen := map[uint32]string{}
	for _, r := range table {
		if other, dup := seen[r.number]; dup {
			return nil, fmt.Errorf("system call %d stands twice in the table: %s and %s", r.number, other, r.name)
		}
		seen[r.number] = r.name
		if len(r.body) == 0 || len(r.body) > 255 {
			return nil, fmt.Errorf("rule for %s has %d instructions, not 1 to 255", r.name, len(r.body))
		}
		prog = append(prog, bpf.JumpIf{Cond: bpf.JumpEqual, Val: r.number, SkipFalse: uint8(len(r.body))})
		prog = append(prog, r.body...)
	}
	return bpf.Assemble(append(prog, allow))
}

// Load puts the filter on every thread of the process at once. The process must
// have set no_new_privs. What is loaded can not be taken off again.
func Load(prog []bpf.RawInstruction) error {
	if len(prog) == 0 {
		return fmt.Errorf("seccomp: refusing to load an empty filter")
	}
	filters := make([]unix.SockFilter, len(prog))
	for i, in := range prog {
		filters[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	fprog := unix.SockFprog{Len: uint16(len(filters)), Filter: &filters[0]}
	tid, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&fprog)))
	runtime.KeepAlive(filters)
	if errno != 0 {
		return fmt.Errorf("seccomp: load the filter: %w", errno)
	}
	if tid != 0 {
		// With TSYNC a positive result is the thread that could not be synchronised.
		return fmt.Errorf("seccomp: thread %d did not take the filter", tid)
	}
	return nil
}

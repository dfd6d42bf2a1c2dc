package seccomp

import (
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// A rule is what happens on one system call: body decides, and each path through
// it ends in a return.
type rule struct {
	number uint32
	name   string
	body   []bpf.Instruction
}

var allow = bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW}

func refuse(errno unix.Errno) bpf.Instruction {
	return bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(errno)}
}

func argument(n uint32) bpf.Instruction {
	return bpf.LoadAbsolute{Off: offsetArgs + 8*n, Size: 4}
}

// always refuses the call whatever its arguments.
func always(errno unix.Errno) []bpf.Instruction {
	return []bpf.Instruction{refuse(errno)}
}

// anyBit refuses with EPERM when argument n has a bit of mask.
func anyBit(n, mask uint32) []bpf.Instruction {
	return []bpf.Instruction{
		argument(n),
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: mask, SkipFalse: 1},
		refuse(unix.EPERM),
		allow,
	}
}

// creating refuses with EPERM when the flags in argument n can make a file and
// the mode in the argument after it has a set-ID bit.
func creating(n uint32) []bpf.Instruction {
	// O_TMPFILE is two bits, of which O_DIRECTORY alone is harmless.
	const makes = unix.O_CREAT | (unix.O_TMPFILE &^ unix.O_DIRECTORY)
	return append([]bpf.Instruction{
		argument(n),
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: makes, SkipTrue: 1},
		allow,
	}, anyBit(n+1, setIDBits)...)
}

// oneOf refuses with EPERM unless argument n is one of the values.
func oneOf(n uint32, values ...uint32) []bpf.Instruction {
	body := []bpf.Instruction{argument(n)}
	for _, v := range values {
		body = append(body, bpf.JumpIf{Cond: bpf.JumpEqual, Val: v, SkipFalse: 1}, allow)
	}
	return append(body, refuse(unix.EPERM))
}

// noneOf refuses with EPERM when argument n is one of the values.
func noneOf(n uint32, values ...uint32) []bpf.Instruction {
	body := []bpf.Instruction{argument(n)}
	for _, v := range values {
		body = append(body, bpf.JumpIf{Cond: bpf.JumpEqual, Val: v, SkipFalse: 1}, refuse(unix.EPERM))
	}
	return append(body, allow)
}

// socketBody is the allowlist of families, types and protocols of socket(2).
func socketBody() []bpf.Instruction {
	is := func(v uint32, skip uint8) bpf.Instruction {
		return bpf.JumpIf{Cond: bpf.JumpEqual, Val: v, SkipTrue: skip}
	}
	// The jumps count instructions to the label named behind them.
	return []bpf.Instruction{
		argument(0),
		is(unix.AF_UNIX, 4),    // → allowed
		is(unix.AF_INET, 8),    // → internet
		is(unix.AF_INET6, 7),   // → internet
		is(unix.AF_NETLINK, 2), // → netlink
		refuse(unix.EAFNOSUPPORT),
		allow, // allowed

		argument(2), // netlink
		is(unix.NETLINK_ROUTE, 1),
		refuse(unix.EPROTONOSUPPORT),
		allow,

		argument(1), // internet
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xf}, // SOCK_TYPE_MASK: without SOCK_CLOEXEC, SOCK_NONBLOCK
		is(unix.SOCK_STREAM, 2),
		is(unix.SOCK_DGRAM, 1),
		refuse(unix.EPERM),
		argument(2),
		is(unix.IPPROTO_IP, 3),
		is(unix.IPPROTO_TCP, 2),
		is(unix.IPPROTO_UDP, 1),
		refuse(unix.EPROTONOSUPPORT),
		allow,
	}
}

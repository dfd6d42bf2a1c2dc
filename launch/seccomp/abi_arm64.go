package seccomp

import "golang.org/x/sys/unix"

const nativeArch = unix.AUDIT_ARCH_AARCH64

// arm64 has only the generic calls.
var (
	neverNative []call
	nativeRules []rule
)

package seccomp

import "golang.org/x/sys/unix"

const nativeArch = unix.AUDIT_ARCH_X86_64

// neverNative are the refused calls that only x86-64 has.
var neverNative = []call{
	{unix.SYS_IOPL, "iopl"}, {unix.SYS_IOPERM, "ioperm"}, {unix.SYS_MODIFY_LDT, "modify_ldt"},
	{unix.SYS_USELIB, "uselib"}, {unix.SYS_USTAT, "ustat"}, {unix.SYS_SYSFS, "sysfs"},
	{unix.SYS__SYSCTL, "_sysctl"}, {unix.SYS_CREATE_MODULE, "create_module"},
}

// nativeRules are the older forms, without a directory descriptor, of calls
// that rules judges by their arguments.
var nativeRules = []rule{
	{unix.SYS_CHMOD, "chmod", anyBit(1, setIDBits)},
	{unix.SYS_CREAT, "creat", anyBit(1, setIDBits)},
	{unix.SYS_MKDIR, "mkdir", anyBit(1, setIDBits)},
	{unix.SYS_MKNOD, "mknod", anyBit(1, setIDBits)},
	{unix.SYS_OPEN, "open", creating(1)},
}

package seccomp

import "golang.org/x/sys/unix"

func nativeTries(file uintptr) []try {
	return []try{
		{"chmod u+s", unix.EPERM, raw(unix.SYS_CHMOD, file, 0o4755)},
		{"creat u+s", unix.EPERM, raw(unix.SYS_CREAT, file, 0o4755)},
		{"open creating g+s", unix.EPERM, raw(unix.SYS_OPEN, file, unix.O_CREAT, 0o2755)},
		{"mkdir g+s", unix.EPERM, func() unix.Errno { return errno(rawPath(unix.SYS_MKDIR, "setid-old", 0o2755)) }},
		{"mknod u+s", unix.EPERM, func() unix.Errno { return errno(rawPath(unix.SYS_MKNOD, "setid-old-fifo", unix.S_IFIFO|0o4755)) }},
	}
}

func rawPath(nr uintptr, path string, mode uintptr) error {
	p, err := unix.BytePtrFromString(path)
	if err != nil {
		return err
	}
	if _, _, e := unix.Syscall(nr, pointer(p), mode, 0); e != 0 {
		return e
	}
	return nil
}

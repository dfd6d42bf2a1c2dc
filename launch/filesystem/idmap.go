package filesystem

import (
	"fmt"
	"strconv"
	"syscall"

	"bottled/launch/identity"
	"bottled/launch/thread"

	"golang.org/x/sys/unix"
)

// OwnerMapping returns a user namespace by whose mapping the owner of dir is the
// user of the bottle: what the bottle writes there belongs to the owner, and what
// is the owner's is the bottle's. Everybody else's files are nobody's. It is
// the caller's to close, and only good for mounting: no process is in it.
//
// Called outside the bottle, on behalf of root only: it gives the bottle the
// owner's rights over dir, whoever the owner is.
func OwnerMapping(dir string, id identity.Identity) (int, error) {
	if err := id.Check(); err != nil {
		return -1, err
	}
	at, err := openReal(dir)
	if err != nil {
		return -1, DirError(dir, err)
	}
	var st unix.Stat_t
	err = unix.Fstat(at, &st)
	unix.Close(at)
	if err != nil {
		return -1, DirError(dir, err)
	}
	fd := -1
	err = thread.Run(func() (err error) {
		// The process exists to make the namespace. Traced, it stops before its
		// first instruction, and is killed there.
		pid, err := syscall.ForkExec("/proc/self/exe", []string{"bottled-userns"}, &syscall.ProcAttr{
			Sys: &syscall.SysProcAttr{
				Ptrace:      true,
				Cloneflags:  unix.CLONE_NEWUSER,
				UidMappings: []syscall.SysProcIDMap{{ContainerID: int(st.Uid), HostID: int(id.UID), Size: 1}},
				GidMappings: []syscall.SysProcIDMap{{ContainerID: int(st.Gid), HostID: int(id.GID), Size: 1}},
			},
		})
		if err != nil {
			return err
		}
		fd, err = unix.Open("/proc/"+strconv.Itoa(pid)+"/ns/user", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		unix.Kill(pid, unix.SIGKILL)
		for {
			if _, werr := unix.Wait4(pid, nil, 0, nil); werr != unix.EINTR {
				return err
			}
		}
	})
	if err != nil {
		return -1, fmt.Errorf("make a user namespace for %s: %w", dir, err)
	}
	return fd, nil
}

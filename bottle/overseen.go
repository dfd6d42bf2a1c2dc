package bottle

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"bottled/launch"
)

// overseen is the first process of a bottle, or a command that was added to one,
// as far as a daemon needs it: a child of its own, or, after a restart, a process
// that another daemon started.
type overseen struct {
	process *launch.Process
	adopted bool
	ended   chan struct{} // closed once it has
	status  Exit          // valid after that
}

// oversee waits for the end of a process, which reaps it where it is a child.
func oversee(p *launch.Process, adopted bool) *overseen {
	o := &overseen{process: p, adopted: adopted, ended: make(chan struct{})}
	go func() {
		defer close(o.ended)
		exit, err := p.Wait()
		switch {
		case err == nil:
			o.status = Exit{Code: exit.Status(), Signal: int(exit.Signal)}
		case errors.Is(err, launch.ErrUnknownExit):
			o.status = adoptedStatus(p.PIDFD())
		default:
			o.status = Exit{Code: exitUnknown, Reason: err.Error()}
		}
		p.Close()
	}()
	return o
}

// adoptProcess takes charge of a process that is not a child.
func adoptProcess(p process) (*overseen, error) {
	found, err := launch.Adopt(p.PID)
	if err != nil {
		return nil, err
	}
	if !p.alive() { // asked after the descriptor was taken: now it can be no other
		found.Close()
		return nil, fmt.Errorf("process %d is not the one that was recorded", p.PID)
	}
	return oversee(found, true), nil
}

func (o *overseen) done() <-chan struct{} { return o.ended }

// over says whether it has ended.
func (o *overseen) over() bool {
	select {
	case <-o.ended:
		return true
	default:
		return false
	}
}

// exitUnknown is the status of a command whose end nobody saw.
const exitUnknown = 125

// pidfdInfo is struct pidfd_info of <linux/pidfd.h>, its first version (64 bytes).
type pidfdInfo struct {
	mask, cgroupID                                                    uint64
	pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid uint32
	exitCode                                                          int32
}

const (
	pidfdGetInfo  = 0xC040FF0B // _IOWR(PIDFS_IOCTL_MAGIC, 11, struct pidfd_info)
	pidfdInfoExit = 1 << 3     // PIDFD_INFO_EXIT, since 6.15
)

// reapTime is how long the host's init may take to reap a process: only then the
// kernel tells how it ended.
const reapTime = 2 * time.Second

// adoptedStatus asks how a process ended that somebody else reaps. Older kernels
// do not tell. A bottle's init ends with its command's status, 128+n for signal n.
func adoptedStatus(pidfd int) Exit {
	var info pidfdInfo
	var errno syscall.Errno
	for end := time.Now().Add(reapTime); errno == 0 && info.mask&pidfdInfoExit == 0 && time.Now().Before(end); {
		info = pidfdInfo{mask: pidfdInfoExit}
		_, _, errno = unix.Syscall(unix.SYS_IOCTL, uintptr(pidfd), pidfdGetInfo, uintptr(unsafe.Pointer(&info)))
		runtime.KeepAlive(&info)
		if errno == 0 && info.mask&pidfdInfoExit == 0 {
			time.Sleep(5 * time.Millisecond)
		}
	}
	status := syscall.WaitStatus(info.exitCode)
	switch {
	case errno != 0 || info.mask&pidfdInfoExit == 0:
		return Exit{Code: exitUnknown, Reason: "ended; its status was lost with the daemon that started it"}
	case status.Signaled():
		return Exit{Code: 128 + int(status.Signal()), Signal: int(status.Signal())}
	}
	return Exit{Code: status.ExitStatus()}
}

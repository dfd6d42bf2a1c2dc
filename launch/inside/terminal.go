package inside

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// openTerminal makes a pseudo terminal in the bottle's own devpts, keeps the
// slave for the command and sends the master to whoever is at the other end of
// the console socket.
func (p *process) openTerminal() error {
	if !p.plan.Terminal {
		return nil
	}
	master, err := unix.Open("/dev/pts/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open /dev/pts/ptmx: %w", err)
	}
	defer unix.Close(master)
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		return fmt.Errorf("unlock the terminal: %w", err)
	}
	slave, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(master), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		return fmt.Errorf("open the terminal: %w", errno)
	}
	if err := unix.Fchown(int(slave), int(p.plan.User.UID), -1); err != nil {
		return err
	}
	// One byte with it: a stream socket carries no descriptor on nothing.
	if err := unix.Sendmsg(ConsoleFD, []byte{0}, unix.UnixRights(master), nil, unix.MSG_NOSIGNAL); err != nil {
		return fmt.Errorf("send the terminal to the client: %w", err)
	}
	p.stdio = [3]uintptr{slave, slave, slave}
	return nil
}

// takeTerminal makes the slave the controlling terminal and the standard
// descriptors of this process, which leads its session.
func (p *process) takeTerminal() error {
	slave := int(p.stdio[0])
	if err := unix.IoctlSetInt(slave, unix.TIOCSCTTY, 0); err != nil {
		return err
	}
	for fd := range 3 {
		if err := unix.Dup3(slave, fd, 0); err != nil {
			return err
		}
	}
	return nil
}

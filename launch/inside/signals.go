package inside

import (
	"os"

	"golang.org/x/sys/unix"
)

// forwarded are the signals that reach the command when they are sent to the
// bottle. The others are not sent to a first process (SIGKILL ends it).
var forwarded = []os.Signal{
	unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM,
	unix.SIGCONT, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGWINCH,
}

// forward passes signals on. Those that a terminal sends go to the process group
// of the command as they would from a terminal; the others to the command alone,
// as from kill(1).
func forward(signals <-chan os.Signal, command int) {
	for s := range signals {
		target := -command
		switch s {
		case unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM:
			target = command
		}
		_ = unix.Kill(target, s.(unix.Signal)) // gone: then its end is on the way
	}
}

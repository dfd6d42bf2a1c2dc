package inside

import "golang.org/x/sys/unix"

// Open files as systemd gives them to services: programs that loop over all
// descriptors are slow with a high soft limit, and those that need more raise it.
const (
	softFiles = 1024
	hardFiles = 524288
)

// limit forbids core dumps for good and sets what the daemon's own service unit
// would otherwise hand down.
func limit() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return err
	}
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return err
	}
	files.Max = min(files.Max, hardFiles)
	files.Cur = min(files.Max, softFiles)
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &files)
}

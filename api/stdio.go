package api

import (
	"os"

	"golang.org/x/sys/unix"

	"bottled/bottle"
)

// stdioOf makes the command's streams of what came with the request. It owns the
// files, whatever the outcome.
//
// A socket connected elsewhere, a directory, a device or a file of the host would
// each be a way past the walls, so a stream is an anonymous pipe and nothing else.
// The one socket of a terminal goes to the bottle's init, not to its command.
func stdioOf(files []*os.File, terminal bool) (bottle.Stdio, error) {
	stdio, err := arrange(files, terminal)
	if err != nil {
		closeFiles(files)
		return bottle.Stdio{}, err
	}
	return stdio, nil
}

func arrange(files []*os.File, terminal bool) (bottle.Stdio, error) {
	switch {
	case terminal && len(files) != 1:
		return bottle.Stdio{}, invalidf("terminal: send one descriptor, a Unix stream socket, along with the request; %d came", len(files))
	case terminal:
		if !isPair(int(files[0].Fd())) {
			return bottle.Stdio{}, invalidf("terminal: the descriptor is not one of a pair of Unix stream sockets (socketpair(2))")
		}
		return bottle.Stdio{Console: files[0]}, nil
	case len(files) == 0:
		return bottle.Stdio{}, nil
	case len(files) != 3:
		return bottle.Stdio{}, invalidf("send no descriptor, or three: stdin, stdout and stderr; %d came", len(files))
	}
	for i, f := range files {
		if !isPipe(int(f.Fd()), i > 0) {
			return bottle.Stdio{}, invalidf("descriptor %d is not an anonymous pipe open for %s: nothing else may be a stream of a bottle; copy through a pipe",
				i, [...]string{"reading", "writing", "writing"}[i])
		}
	}
	return bottle.Stdio{Streams: [3]*os.File(files)}, nil
}

// isPipe reports whether fd is one end of an anonymous pipe: pipefs is where
// pipe(2) makes them, and a FIFO on disk is not there.
func isPipe(fd int, write bool) bool {
	want := unix.O_RDONLY
	if write {
		want = unix.O_WRONLY
	}
	var st unix.Stat_t
	var fs unix.Statfs_t
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	return err == nil && flags&unix.O_ACCMODE == want && flags&unix.O_PATH == 0 &&
		unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFIFO &&
		unix.Fstatfs(fd, &fs) == nil && fs.Type == unix.PIPEFS_MAGIC
}

// isPair reports whether fd is a socket of socketpair(2), whose ends have no name. With
// one that is connected to a service of the host the caller would have a process of
// root's write there, which a service that asks for credentials (unix(7)) takes for root.
func isPair(fd int) bool {
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil || domain != unix.AF_UNIX {
		return false
	}
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil || kind != unix.SOCK_STREAM {
		return false
	}
	return unnamed(unix.Getsockname(fd)) && unnamed(unix.Getpeername(fd))
}

// unnamed takes "@", which package unix makes of no name, for that.
func unnamed(a unix.Sockaddr, err error) bool {
	u, ok := a.(*unix.SockaddrUnix)
	return err == nil && ok && (u.Name == "" || u.Name == "@")
}

package secret

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// file is a file that only root can read. Fetch reads it anew each time, so a
// token that was rotated on disk is picked up at the next launch.
type file struct{ path string }

// newFile returns the source file:path. The path is absolute and clean.
func newFile(path string) (*file, error) {
	if !filepath.IsAbs(path) || filepath.Clean(path) != path || strings.ContainsRune(path, 0) {
		return nil, errors.New("write an absolute path without . or .. in it")
	}
	return &file{path}, nil
}

// Fetch implements [Source]. It refuses a file that is not a regular one owned by
// root with no permission for anybody else, that has a second name (a hard link
// that somebody may have made), or that is reached through a symbolic link.
func (f *file) Fetch(context.Context) (Token, error) {
	t, err := f.read()
	if err != nil {
		return Token{}, fmt.Errorf("secret file:%s: %w", f.path, err)
	}
	return t, nil
}

func (f *file) read() (Token, error) {
	file, err := openBeneath(unix.AT_FDCWD, f.path, unix.RESOLVE_NO_SYMLINKS|unix.RESOLVE_NO_MAGICLINKS)
	if err != nil {
		return Token{}, err
	}
	defer file.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil {
		return Token{}, err
	}
	switch {
	case st.Uid != 0:
		return Token{}, fmt.Errorf("owned by uid %d; chown it to root", st.Uid)
	case st.Mode&0o077 != 0:
		return Token{}, fmt.Errorf("mode %04o lets others at it; chmod it to 0600", st.Mode&0o7777)
	case st.Nlink != 1:
		return Token{}, fmt.Errorf("has %d hard links; keep it under one name", st.Nlink)
	}
	return readValue(file)
}

// openBeneath opens a regular file for reading, resolving path as resolve says
// (openat2(2)). O_NONBLOCK keeps a FIFO in its place from hanging the caller.
func openBeneath(dir int, path string, resolve uint64) (*os.File, error) {
	fd, err := unix.Openat2(dir, path, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY,
		Resolve: resolve,
	})
	switch {
	case errors.Is(err, unix.ELOOP):
		return nil, errors.New("reached through a symbolic link; write the real path")
	case err != nil:
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		unix.Close(fd)
		return nil, errors.New("not a regular file")
	}
	return os.NewFile(uintptr(fd), path), nil
}

// readValue reads one token, bounded.
func readValue(r io.Reader) (Token, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxSize+3)) // a value and its line ending, and one byte to see that it is too long
	if err != nil {
		return Token{}, err
	}
	return parseValue(b)
}

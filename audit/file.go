package audit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"time"
)

// Bounds of a log on disk when [FileOptions] does not say.
const (
	defaultFileSize = 64 << 20 // bytes in one file
	defaultFileKeep = 4        // older files beside it
)

// FileOptions bounds what a log may take of the disk: (Keep+1) × Size bytes. The
// zero value is the defaults.
type FileOptions struct {
	Size  int64 // bytes in one file, at least one batch of 64 KiB
	Keep  int   // older files, as path.1 (the newest) to path.Keep; negative keeps none
	Queue int   // events held between callers and writer; 0 is 4096
}

// What a log with its older files may take of the disk, in MiB: by default, and from
// least to most.
const (
	DefaultSize = (defaultFileKeep + 1) * defaultFileSize >> 20
	LeastSize   = defaultFileKeep + 1
	MostSize    = 1 << 20
)

// Within returns the options of a log that takes at most so many MiB; 0 is the default.
func Within(mib uint64) FileOptions {
	return FileOptions{Size: int64(mib<<20) / (defaultFileKeep + 1)}
}

// Open opens the log at path, or makes it with mode 0600, and goes on from its
// last line. A half-written line at its end, which a crash leaves, is removed, and
// a [Torn] event says so.
//
// Lines reach the kernel with each batch and the disk when the file rotates or
// closes: SIGKILL loses what is queued, a power failure may lose more.
func Open(path string, o FileOptions) (*Log, error) {
	if o.Size <= 0 {
		o.Size = defaultFileSize
	}
	o.Size = max(o.Size, batch)
	if o.Keep == 0 {
		o.Keep = defaultFileKeep
	}
	f := &file{path: path, max: o.Size, keep: max(o.Keep, 0)}
	head, torn, err := f.open()
	if err != nil {
		return nil, fmt.Errorf("audit log %q: %w", path, err)
	}
	l := newLog(f, logOptions{Queue: o.Queue, Head: head})
	if torn > 0 {
		l.Record(Event{Time: time.Now(), Kind: Torn, Count: uint64(torn), Reason: "half-written-line"})
	}
	return l, nil
}

// Files returns the files of the log at path that exist, oldest first, in the
// order in which [Verify] wants them.
func Files(path string) ([]string, error) {
	var files []string
	for n := 1; ; n++ {
		older := path + "." + strconv.Itoa(n)
		if _, err := os.Lstat(older); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return nil, err
		}
		files = append([]string{older}, files...)
	}
	if _, err := os.Lstat(path); err != nil {
		return nil, err
	}
	return append(files, path), nil
}

// file is a log file that rotates. A Write that fails leaves it as it was.
type file struct {
	path string
	max  int64
	keep int
	f    *os.File
	size int64
}

// open opens the file and finds where its chain ended and how many bytes of a
// torn line it removed.
func (f *file) open() (Head, int64, error) {
	var err error
	f.f, err = os.OpenFile(f.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return Head{}, 0, err
	}
	head, end, err := lastLine(f.f)
	if err == nil && end == 0 {
		head, err = f.rotatedHead()
	}
	var size int64
	if err == nil {
		size, err = f.f.Seek(0, io.SeekEnd)
	}
	if err == nil && size > end {
		err = f.f.Truncate(end)
	}
	if err != nil {
		return Head{}, 0, errors.Join(err, f.f.Close())
	}
	f.size = end
	return head, size - end, nil
}

// Write implements [io.Writer].
func (f *file) Write(p []byte) (int, error) {
	if f.f == nil || f.size > 0 && f.size+int64(len(p)) > f.max {
		if err := f.rotate(); err != nil {
			return 0, err
		}
	}
	n, err := f.f.Write(p)
	if err != nil {
		return 0, errors.Join(err, f.f.Truncate(f.size))
	}
	f.size += int64(n)
	return n, nil
}

// rotate moves path to path.1, path.1 to path.2 and so on, and starts a new file.
// It can be tried again after any failure.
func (f *file) rotate() error {
	if f.f != nil {
		err := errors.Join(f.f.Sync(), f.f.Close())
		f.f = nil
		if err != nil {
			return err
		}
		if err := f.shift(); err != nil {
			return err
		}
	}
	var err error
	f.f, err = os.OpenFile(f.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		f.f = nil
		return err
	}
	f.size, err = f.f.Seek(0, io.SeekEnd)
	return err
}

func (f *file) shift() error {
	if f.keep == 0 {
		return os.Remove(f.path)
	}
	for n := f.keep; n > 0; n-- {
		from := f.path
		if n > 1 {
			from += "." + strconv.Itoa(n-1)
		}
		if err := os.Rename(from, f.path+"."+strconv.Itoa(n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Close implements [io.Closer].
func (f *file) Close() error {
	if f.f == nil {
		return nil
	}
	return errors.Join(f.f.Sync(), f.f.Close())
}

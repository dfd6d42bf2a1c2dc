package filesystem

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// A File is laid over the host's tree: its contents, or a symbolic link.
type File struct {
	Data []byte
	Mode fs.FileMode // permission bits; 0 means 0644
	Link string      // target; when set, the other fields are ignored
}

// Packed is a File on its way to the first process: its contents go in a file without
// a name beside the rest, because the certificates of a host are most of what a
// bottle is told.
type Packed struct {
	At, Size int64 // where its contents are, in bytes
	Mode     fs.FileMode
	Link     string
}

// Pack writes the contents of files into one file, which is in memory and the caller's
// to close, and tells where each is.
func Pack(files map[string]File) (packed map[string]Packed, contents *os.File, err error) {
	fd, err := unix.MemfdCreate("bottled-files", unix.MFD_CLOEXEC|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3
		fd, err = unix.MemfdCreate("bottled-files", unix.MFD_CLOEXEC)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("make a file in memory: %w", err)
	}
	contents = os.NewFile(uintptr(fd), "files")
	packed = make(map[string]Packed, len(files))
	var end int64
	for path, f := range files {
		packed[path] = Packed{At: end, Size: int64(len(f.Data)), Mode: f.Mode, Link: f.Link}
		if _, err := contents.Write(f.Data); err != nil {
			return nil, nil, errors.Join(fmt.Errorf("pack %s: %w", path, err), contents.Close())
		}
		end += int64(len(f.Data))
	}
	return packed, contents, nil
}

// mapContents makes the packed contents readable without a copy.
func (b *builder) mapContents() error {
	var st unix.Stat_t
	if err := unix.Fstat(b.packed, &st); err != nil {
		return fmt.Errorf("the contents of the files: %w", err)
	}
	if st.Size == 0 {
		return nil
	}
	var err error
	if b.data, err = unix.Mmap(b.packed, 0, int(st.Size), unix.PROT_READ, unix.MAP_PRIVATE); err != nil {
		return fmt.Errorf("the contents of the files: %w", err)
	}
	return nil
}

// unpack returns the file that p is of. It is valid until the contents are unmapped.
func (b *builder) unpack(p Packed) (File, error) {
	if p.At < 0 || p.Size < 0 || p.At > int64(len(b.data))-p.Size {
		return File{}, errors.New("its contents are missing")
	}
	return File{Data: b.data[p.At : p.At+p.Size], Mode: p.Mode, Link: p.Link}, nil
}

func (b *builder) unmapContents() error {
	if b.data == nil {
		return nil
	}
	data := b.data
	b.data, b.files = nil, nil // which is made of it
	return unix.Munmap(data)
}

package trust

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// rootDirs are where Go looks for authorities beside the bundle (crypto/x509, root_linux.go).
var rootDirs = []string{debianDir, "/etc/pki/tls/certs"}

// rootFile is a file of the host with authorities, as it was when it was looked at.
type rootFile struct {
	name     string // relative to the root directory
	size     int64
	modified time.Time
}

// gathered is the host's authorities in one file.
type gathered struct {
	of   []rootFile
	file *os.File
}

// Roots returns the authorities that the host's own programs trust, in PEM, each once: those
// of the system's bundle and of the directories beside it. The file is in memory and
// sealed, and one for all bottles while nothing changes on the host; the descriptor is
// the caller's. A host without any has an empty one.
func (h *Host) Roots() (*os.File, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	files := h.rootFiles()
	if h.roots.file == nil || !slices.Equal(h.roots.of, files) {
		file, err := h.gather(files)
		if err != nil {
			return nil, fmt.Errorf("trust: the host's authorities: %w", err)
		}
		if h.roots.file != nil {
			h.roots.file.Close()
		}
		h.roots = gathered{files, file}
	}
	fd, err := unix.FcntlInt(h.roots.file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("trust: the host's authorities: %w", err)
	}
	return os.NewFile(uintptr(fd), "roots"), nil
}

// rootFiles lists what there is, without reading it.
func (h *Host) rootFiles() []rootFile {
	var files []rootFile
	add := func(name string) bool {
		info, err := fs.Stat(h.fsys, name)
		if err != nil || !info.Mode().IsRegular() || info.Size() == 0 || info.Size() > maxBundle {
			return false
		}
		files = append(files, rootFile{name, info.Size(), info.ModTime()})
		return true
	}
	for _, place := range bundles {
		if name, ok := h.real(place); ok && add(rel(name)) {
			break
		}
	}
	for _, dir := range rootDirs {
		entries, err := fs.ReadDir(h.fsys, rel(dir))
		if err != nil {
			continue
		}
		for _, e := range entries {
			name := path.Join(rel(dir), e.Name())
			// Most are there twice, by their names and by links named after a hash.
			if e.Type() == fs.ModeSymlink {
				if target, err := h.fsys.ReadLink(name); err != nil || !strings.Contains(target, "/") {
					continue
				}
			}
			add(name)
		}
	}
	return files
}

// gather writes the certificates in files, each once, into a file in memory.
func (h *Host) gather(files []rootFile) (_ *os.File, err error) {
	fd, err := unix.MemfdCreate("bottled-roots", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "roots")
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close())
		}
	}()
	seen := make(map[string]bool)
	for _, f := range files {
		rest, err := fs.ReadFile(h.fsys, f.name)
		if err != nil {
			continue // gone meanwhile: what is not read is not trusted
		}
		for {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			if block.Type != "CERTIFICATE" || seen[string(block.Bytes)] {
				continue
			}
			seen[string(block.Bytes)] = true
			if err := pem.Encode(file, block); err != nil {
				return nil, err
			}
		}
	}
	_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SEAL|unix.F_SEAL_WRITE|unix.F_SEAL_GROW|unix.F_SEAL_SHRINK)
	return file, err
}

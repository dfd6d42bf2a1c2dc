package bottle

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// DefaultDLPKey is where the host's key of fingerprints is. It outlives a boot, as
// the manifests do that name a fingerprint.
const DefaultDLPKey = "/var/lib/bottled/dlp.key"

// dlpKeySize is that of the key file, in bytes.
const dlpKeySize = 32

// hostDLPKey returns the host's key, or where that cannot be had one that nobody
// knows: then no exemption in a manifest fits, and what it names is refused.
func hostDLPKey(o Options) []byte {
	key, err := openDLPKey(o.DLPKey)
	if err != nil {
		o.Log.Warn("fingerprints of what the scanner finds are made up anew, and those in manifests mean nothing", "error", err)
		key = make([]byte, dlpKeySize)
		rand.Read(key) // never fails
	}
	return key
}

// openDLPKey returns the host's key of fingerprints: what the scanner finds is named
// in the audit log by a fingerprint, which tells whoever reads it whether two matches
// are the same, and without the key not whether a guess is right. The file is made if
// it is not there, and refused if anybody but root could have read it.
func openDLPKey(path string) ([]byte, error) {
	key, err := readDLPKey(path)
	if !errors.Is(err, os.ErrNotExist) {
		return key, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o711); err != nil {
		return nil, fmt.Errorf("key of fingerprints: %w", err)
	}
	fresh, err := os.CreateTemp(filepath.Dir(path), ".dlp.key.*") // 0600
	if err != nil {
		return nil, fmt.Errorf("key of fingerprints: %w", err)
	}
	defer os.Remove(fresh.Name())
	_, err = io.CopyN(fresh, rand.Reader, dlpKeySize)
	if err := errors.Join(err, fresh.Close()); err != nil {
		return nil, fmt.Errorf("key of fingerprints: %w", err)
	}
	// A link and no rename: of two daemons that begin at once the first has its way.
	if err := os.Link(fresh.Name(), path); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("key of fingerprints: %w", err)
	}
	return readDLPKey(path)
}

func readDLPKey(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, fmt.Errorf("key of fingerprints: %w", err)
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return nil, fmt.Errorf("key of fingerprints %q: %w", path, err)
	}
	if st.Uid != 0 || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Mode&0o077 != 0 || st.Size != dlpKeySize {
		return nil, fmt.Errorf("key of fingerprints %q: must be a file of %d bytes that root owns and nobody else may read: remove it, and a new one is made", path, dlpKeySize)
	}
	key := make([]byte, dlpKeySize)
	if _, err := io.ReadFull(f, key); err != nil {
		return nil, fmt.Errorf("key of fingerprints %q: %w", path, err)
	}
	return key, nil
}

// dlpKeyOf is the key for the bottles of one user: an enforcer that was taken over
// gives away no other user's.
func dlpKeyOf(host []byte, owner uint32) []byte {
	h := hmac.New(sha256.New, host)
	h.Write(binary.BigEndian.AppendUint32([]byte("fingerprints of "), owner))
	return h.Sum(nil)
}

package filesystem

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// A hostMount is one line of /proc/self/mountinfo (proc_pid_mountinfo(5)).
type hostMount struct {
	id     uint64 // as statx(2) gives it
	device string // major:minor
	root   string // what of the file system is mounted
	point  string // where
	fstype string
	server uint32 // uid of who serves a FUSE file system; 0 for any other
}

// foreign reports whether the mount is served by a user who is neither root nor uid.
// Whoever looks into it waits for that user, and is refused as that user likes
// (Documentation/filesystems/fuse.rst): one user could keep all others from
// starting a bottle.
func (m hostMount) foreign(uid uint32) bool { return m.server != 0 && m.server != uid }

// parseMountinfo reads the table in order: of two mounts on one point, the later
// one is seen. A line that it does not understand is an error.
func parseMountinfo(table []byte) ([]hostMount, error) {
	var mounts []hostMount
	for line := range bytes.Lines(table) {
		before, after, ok := strings.Cut(strings.TrimSpace(string(line)), " - ")
		fields, rest := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 6 || len(rest) < 1 {
			return nil, fmt.Errorf("mount table: can not read the line %q", line)
		}
		id, err := strconv.ParseUint(fields[0], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("mount table: can not read the line %q", line)
		}
		m := hostMount{id: id, device: fields[2], root: unescape(fields[3]), point: unescape(fields[4]), fstype: rest[0]}
		if kind, _, _ := strings.Cut(m.fstype, "."); kind == "fuse" || kind == "fuseblk" {
			m.server = fuseServer(rest[len(rest)-1])
		}
		mounts = append(mounts, m)
	}
	return mounts, nil
}

// fuseServer reads user_id of the options that a FUSE mount always has. Without it
// the server is nobody that is trusted.
func fuseServer(options string) uint32 {
	for o := range strings.SplitSeq(options, ",") {
		if value, ok := strings.CutPrefix(o, "user_id="); ok {
			if uid, err := strconv.ParseUint(value, 10, 32); err == nil {
				return uint32(uid)
			}
		}
	}
	return ^uint32(0)
}

// unescape undoes the kernel's \ooo for space, tab, newline and backslash.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// aliases returns every path at which the file at path is seen on the host: path
// itself, and those that lead to it through another mount of the same file system.
func aliases(mounts []hostMount, path string) []string {
	home := covering(mounts, path)
	if home == nil {
		return []string{path}
	}
	below, _ := filepath.Rel(home.point, path)
	onDevice := filepath.Join(home.root, below)
	paths := []string{path}
	for _, m := range mounts {
		if m.device != home.device || !within(onDevice, m.root) {
			continue
		}
		rel, _ := filepath.Rel(m.root, onDevice)
		if alias := filepath.Join(m.point, rel); alias != path && covering(mounts, alias).point == m.point {
			paths = append(paths, alias)
		}
	}
	return paths
}

// covering returns the mount in which path is seen, nil in an empty table.
func covering(mounts []hostMount, path string) *hostMount {
	var best *hostMount
	for i, m := range mounts {
		if within(path, m.point) && (best == nil || len(m.point) >= len(best.point)) {
			best = &mounts[i]
		}
	}
	return best
}

// within reports whether path is dir or lies below it. Both are clean and absolute.
func within(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}

// real are the file systems that hold files, and are therefore shown. Anything
// else mounted on the host is a window into a kernel, a daemon or another machine's state: shown empty.
var real = map[string]bool{
	"ext2": true, "ext3": true, "ext4": true, "xfs": true, "btrfs": true, "bcachefs": true, "f2fs": true,
	"zfs": true, "vfat": true, "exfat": true, "ntfs3": true, "squashfs": true, "erofs": true, "iso9660": true,
	"udf": true, "overlay": true, "tmpfs": true, "nfs": true, "nfs4": true, "cifs": true, "smb3": true,
	"9p": true, "virtiofs": true, "ceph": true, "fuseblk": true,
}

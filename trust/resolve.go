package trust

import (
	"io/fs"
	"path"
	"strings"
)

// maxLinks is how many symbolic links one path may lead through, as in the kernel
// (MAXSYMLINKS).
const maxLinks = 40

// maxParts bounds the parts of a path, with those of the links that it leads through: each
// costs a look at the disk, and the path may be anybody's.
const maxParts = 512

// resolve follows every symbolic link in name, the last one too, with fsys as the
// root directory: absolute links, which an [fs.FS] does not follow, start there, and
// none leads out of it. What does not exist stays as it is written. It reports
// false for a name that is not absolute, for a loop and for one that is too long.
func resolve(fsys fs.ReadLinkFS, name string) (string, bool) {
	if !path.IsAbs(name) {
		return "", false
	}
	done := "/"
	todo := strings.Split(path.Clean(name), "/")
	for links, parts := 0, 0; len(todo) > 0; {
		if parts++; parts > maxParts {
			return "", false
		}
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			done = path.Dir(done) // of a path without links, so this is what the kernel does
			continue
		}
		next := path.Join(done, part)
		info, err := fsys.Lstat(rel(next))
		if err != nil || info.Mode()&fs.ModeSymlink == 0 {
			done = next
			continue
		}
		target, err := fsys.ReadLink(rel(next))
		if links++; err != nil || links > maxLinks {
			return "", false
		}
		if path.IsAbs(target) {
			done = "/"
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	return done, true
}

// rel is an absolute path as an [fs.FS] wants it.
func rel(name string) string {
	if name == "/" {
		return "."
	}
	return name[1:]
}

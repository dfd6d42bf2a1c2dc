package trust

import (
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"time"
)

// jdkGlobs are where JDKs are installed.
var jdkGlobs = []string{
	"/usr/lib/jvm/*",   // Debian, Ubuntu, Fedora, Arch
	"/usr/lib64/jvm/*", // openSUSE
	"/usr/java/*",      // Oracle's packages
	"/usr/local/openjdk-*",
	"/opt/*",
	"/opt/java/*", // container images
}

// homeDirs are where tools put JDKs in a home directory, each in a directory of its own.
var homeDirs = []string{
	".sdkman/candidates/java",
	".jdks", // IntelliJ
	".asdf/installs/java",
	".local/share/mise/installs/java",
	".gradle/jdks",
}

// cacerts is where a JDK or JRE keeps its trust store, below its directory.
var cacerts = []string{
	"lib/security/cacerts",
	"jre/lib/security/cacerts", // a JDK up to 8
}

// Bounds on the search for a user's own JDKs. Where to look is theirs to say, and it is the
// daemon that looks: it looks at little, and waits for no file server.
const (
	maxJDKs     = 32              // of one user
	maxNames    = 4 * maxJDKs     // in a directory of them
	maxSearch   = 64              // directories of a PATH
	maxHomeDir  = 1 << 20         // bytes of a directory itself
	searchTime  = 2 * time.Second // of one search
	maxSearches = 16              // at a time, those that hang among them
)

// javaStores returns the real paths of the trust stores there are: the host's and the user's.
func (h *Host) javaStores(lookup func(string) (string, bool)) []string {
	var jdks []string
	for _, g := range jdkGlobs {
		found, err := fs.Glob(h.fsys, rel(g))
		if err != nil {
			continue
		}
		for _, dir := range found {
			jdks = append(jdks, "/"+dir)
		}
	}
	stores := slices.Concat(h.files(debianCacerts), h.stores(jdks), h.usersStores(lookup))
	slices.Sort(stores)
	return slices.Compact(stores)
}

// usersStores returns those of the user's JDKs, or none where the search takes too long. A
// search that hangs goes on by itself, for as long as the file server does.
func (h *Host) usersStores(lookup func(string) (string, bool)) []string {
	late := time.After(searchTime)
	select {
	case h.searches <- struct{}{}:
	case <-late:
		return nil
	}
	found := make(chan []string, 1)
	go func() {
		defer func() { <-h.searches }()
		found <- h.stores(h.usersJDKs(lookup))
	}()
	select {
	case stores := <-found:
		return stores
	case <-late:
		return nil
	}
}

// stores returns the trust stores of the JDKs in these directories.
func (h *Host) stores(jdks []string) []string {
	var stores []string
	for _, jdk := range jdks {
		for _, place := range cacerts {
			stores = append(stores, h.files(path.Join(jdk, place))...)
		}
	}
	return stores
}

// files returns the real path of name where that is a regular file.
func (h *Host) files(name string) []string {
	name, ok := h.real(name)
	if !ok {
		return nil
	}
	if info, err := h.fsys.Lstat(rel(name)); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	return []string{name}
}

// usersJDKs returns the directories that may be JDKs of the user's, first those that
// programs would take.
func (h *Host) usersJDKs(lookup func(string) (string, bool)) []string {
	var jdks []string
	if dir, ok := lookup("JAVA_HOME"); ok {
		jdks = append(jdks, dir)
	}
	search, _ := lookup("PATH")
	for i, dir := range filepath.SplitList(search) {
		if i == maxSearch {
			break
		}
		if bin, ok := resolve(h.fsys, path.Join(dir, "java")); ok && path.Base(path.Dir(bin)) == "bin" {
			jdks = append(jdks, path.Dir(path.Dir(bin)))
		}
	}
	if home, ok := lookup("HOME"); ok {
		for _, dir := range homeDirs {
			jdks = append(jdks, h.below(path.Join(home, dir))...)
		}
	}
	var once []string
	for _, dir := range jdks { // one JDK may have many names
		if dir, ok := resolve(h.fsys, dir); ok && len(once) < maxJDKs && !slices.Contains(once, dir) {
			once = append(once, dir)
		}
	}
	return once
}

// below returns what is in a directory, unless that is more than a few things.
func (h *Host) below(dir string) []string {
	dir, ok := resolve(h.fsys, dir)
	if !ok {
		return nil
	}
	if info, err := h.fsys.Lstat(rel(dir)); err != nil || !info.IsDir() || info.Size() > maxHomeDir {
		return nil
	}
	entries, err := fs.ReadDir(h.fsys, rel(dir))
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries[:min(len(entries), maxNames)] {
		names = append(names, path.Join(dir, e.Name()))
	}
	return names
}

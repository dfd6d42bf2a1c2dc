package trust

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"software.sslmate.com/src/go-pkcs12"
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

// homeGlobs are where tools put JDKs in a home directory.
var homeGlobs = []string{
	".sdkman/candidates/java/*",
	".jdks/*", // IntelliJ
	".asdf/installs/java/*",
	".local/share/mise/installs/java/*",
	".gradle/jdks/*",
}

// cacerts is where a JDK or JRE keeps its trust store, below its directory.
var cacerts = []string{
	"lib/security/cacerts",
	"jre/lib/security/cacerts", // a JDK up to 8
}

// debianCacerts is what Debian's JDKs link to.
const debianCacerts = debianDir + "/java/cacerts"

// addJava replaces the trust store of every JDK that is found. None is read: the new one
// holds the system's roots and the authority, in a PKCS #12 file without a password, as
// JDK 18 and later have it themselves and 8u301, 11.0.12 and 17 read it. There is
// no variable for this: JAVA_TOOL_OPTIONS makes every JVM print a line.
func (h *Host) addJava(l *Layer, system *roots, ca *x509.Certificate, lookup func(string) (string, bool)) error {
	stores := h.javaStores(lookup)
	if len(stores) == 0 {
		return nil
	}
	entries := []pkcs12.TrustStoreEntry{{Cert: ca, FriendlyName: "bottled"}}
	for _, cert := range system.parsed() {
		entries = append(entries, pkcs12.TrustStoreEntry{Cert: cert, FriendlyName: alias(cert)})
	}
	store, err := pkcs12.Passwordless.EncodeTrustStoreEntries(entries, "")
	if err != nil {
		return fmt.Errorf("the trust store of Java: %w", err)
	}
	for _, name := range stores {
		l.Files[name] = store
	}
	return nil
}

// alias names a root for keytool -list. It is unique: Java takes two entries with one
// alias for one.
func alias(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return strings.ToLower(cert.Subject.CommonName) + " " + hex.EncodeToString(sum[:4])
}

// javaStores returns the real paths of the trust stores there are.
func (h *Host) javaStores(lookup func(string) (string, bool)) []string {
	var stores []string
	seen := make(map[string]bool)
	add := func(name string) {
		name, ok := h.real(name)
		if !ok || seen[name] {
			return
		}
		if info, err := h.fsys.Lstat(rel(name)); err == nil && info.Mode().IsRegular() {
			seen[name] = true
			stores = append(stores, name)
		}
	}
	add(debianCacerts)
	for _, jdk := range h.jdks(lookup) {
		for _, place := range cacerts {
			add(path.Join(jdk, place))
		}
	}
	return stores
}

// jdks returns the directories that may be JDKs.
func (h *Host) jdks(lookup func(string) (string, bool)) []string {
	globs := jdkGlobs
	if home, ok := lookup("HOME"); ok && path.IsAbs(home) {
		if home, ok = resolve(h.fsys, home); ok {
			for _, g := range homeGlobs {
				globs = append(globs, path.Join(globEscape(home), g))
			}
		}
	}
	var dirs []string
	for _, g := range globs {
		found, err := fs.Glob(h.fsys, rel(g))
		if err != nil {
			continue
		}
		for _, dir := range found {
			dirs = append(dirs, "/"+dir)
		}
	}
	if dir, ok := lookup("JAVA_HOME"); ok {
		dirs = append(dirs, dir)
	}
	search, _ := lookup("PATH")
	for _, dir := range filepath.SplitList(search) {
		if bin, ok := resolve(h.fsys, path.Join(dir, "java")); ok && path.Base(path.Dir(bin)) == "bin" {
			dirs = append(dirs, path.Dir(path.Dir(bin)))
		}
	}
	return dirs
}

// globEscape escapes what [path.Match] reads as a pattern.
func globEscape(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(s)
}

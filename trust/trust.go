// Package trust makes programs in a bottle believe the bottle's certificate
// authority, without a flag to any of them.
//
// A [Host] looks at the file system of the host and says what to lay over it in
// one bottle: a [Layer] of files, symbolic links and environment variables. Programs
// find authorities in one of five ways, and the layer serves each:
//
//   - a bundle, one PEM file in one of a few places (GnuTLS, Go, curl, git, Python)
//   - a directory of files named after the hash of a subject (OpenSSL)
//   - a Java trust store, one per JDK or one that many link to
//   - a policy file (Chromium and its relatives, which ignore all of the above)
//   - a variable, for programs that bring roots of their own (Node, Deno, uv, requests)
//
// Bundles keep the host's roots: a route with protocol tls-passthrough shows the
// program the server's own certificate. Nothing outside the bottle ever sees the
// layer, and nothing in it is secret.
package trust

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sync"
)

// Anchor is where the bottle's authority alone lies, in PEM, in every bottle.
const Anchor = debianDir + "/bottled.pem"

// Bundle is where the host's roots with the bottle's authority lie, in PEM, in every bottle.
const Bundle = debianDir + "/ca-certificates.crt"

const debianDir = "/etc/ssl/certs"

// Layer is what to lay over the host's file tree in one bottle. Paths are absolute
// and free of the host's symbolic links, so that each file lands where the host
// keeps the one that it replaces. Modes are 0644 and 0755, owned by root.
type Layer struct {
	Files map[string][]byte // contents by path; shared, not to be changed
	Links map[string]string // targets of symbolic links by path
	Env   []string          // NAME=value
}

// Host is the file system of the machine, read only. It keeps what it has parsed
// until the file changes, so that a launch costs about a millisecond. It is safe for
// concurrent use.
type Host struct {
	fsys     fs.ReadLinkFS
	searches chan struct{} // those under way for the JDKs of users

	mu      sync.Mutex
	bundles map[string]*roots // by real path
	roots   gathered          // by Roots
}

// NewHost returns the host whose root directory fsys is, such as [os.DirFS] of "/".
func NewHost(fsys fs.ReadLinkFS) *Host {
	return &Host{fsys: fsys, searches: make(chan struct{}, maxSearches), bundles: make(map[string]*roots)}
}

// Layer returns what makes programs trust the authority in caPEM, which is one
// certificate. lookup is the environment that the bottle's programs will have: it
// leads to JDKs beside the packaged ones, which are looked for within bounds. A host without any roots is no error:
// its bundle is the authority alone.
func (h *Host) Layer(caPEM []byte, lookup func(name string) (string, bool)) (Layer, error) {
	block, rest := pem.Decode(caPEM)
	if block == nil || block.Type != "CERTIFICATE" || len(rest) > 0 {
		return Layer{}, errors.New("trust: the authority is not one certificate in PEM")
	}
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return Layer{}, fmt.Errorf("trust: the authority: %w", err)
	}
	stores := h.javaStores(lookup) // before the lock, since it may take its time
	h.mu.Lock()
	defer h.mu.Unlock()
	l := Layer{Files: make(map[string][]byte), Links: make(map[string]string), Env: environ()}
	system := h.systemRoots()
	h.addBundles(&l, system, caPEM)
	if err := h.addHashed(&l, ca, caPEM); err != nil {
		return Layer{}, fmt.Errorf("trust: %w", err)
	}
	if err := h.addJava(&l, system, ca, stores); err != nil {
		return Layer{}, fmt.Errorf("trust: %w", err)
	}
	if err := h.addChromium(&l, ca); err != nil {
		return Layer{}, fmt.Errorf("trust: %w", err)
	}
	return l, nil
}

// real resolves name through the host's links, "" if that leads nowhere, and reports
// whether its directory exists.
func (h *Host) real(name string) (string, bool) {
	name, ok := resolve(h.fsys, name)
	return name, ok && h.isDir(path.Dir(name))
}

func (h *Host) isDir(name string) bool {
	info, err := fs.Stat(h.fsys, rel(name))
	return err == nil && info.IsDir()
}

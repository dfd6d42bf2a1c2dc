package trust

import (
	"crypto/x509"
	"encoding/pem"
	"io/fs"
	"path"
	"slices"
	"time"
)

// bundles are the places of the system's bundle, each with who looks there. The first one
// that has any roots is the system's.
var bundles = []string{
	Bundle,                             // Debian, Ubuntu, Alpine, Arch, Gentoo, NixOS; GnuTLS, curl, git, Go
	"/etc/pki/tls/certs/ca-bundle.crt", // Fedora, RHEL
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // what Fedora's links lead to
	"/etc/ssl/ca-bundle.pem",                            // openSUSE
	"/etc/pki/tls/cacert.pem",                           // OpenELEC
	"/etc/ssl/cert.pem",                                 // Alpine; LibreSSL; OpenSSL built for /etc/ssl
	"/etc/pki/tls/cert.pem",                             // OpenSSL on Fedora
	"/usr/lib/ssl/cert.pem",                             // OpenSSL on Debian
	"/etc/ssl/certs/ca-bundle.crt",                      // Nix; Python packages that look around
	"/usr/share/ssl/certs/ca-bundle.crt",                // old Red Hat; curl
	"/usr/local/share/certs/ca-root-nss.crt",            // packages that come from FreeBSD
}

// maxBundle bounds what is read as a bundle, in bytes. Mozilla's roots take 0.2 MB.
const maxBundle = 8 << 20

// roots is a bundle as it is on the host.
type roots struct {
	size     int64
	modified time.Time
	pem      []byte
	certs    []*x509.Certificate // what of it parses; nil until somebody asks
}

// systemRoots returns the first bundle that has any, or an empty one.
func (h *Host) systemRoots() *roots {
	for _, place := range bundles {
		if name, ok := h.real(place); ok {
			if r := h.bundle(name); len(r.pem) > 0 {
				return r
			}
		}
	}
	return &roots{}
}

// bundle reads the bundle with the given real path, anew if it has changed. One that is
// missing, too large or no file is empty.
func (h *Host) bundle(name string) *roots {
	info, err := fs.Stat(h.fsys, rel(name))
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxBundle {
		return &roots{}
	}
	if r := h.bundles[name]; r != nil && r.size == info.Size() && r.modified.Equal(info.ModTime()) {
		return r
	}
	data, err := fs.ReadFile(h.fsys, rel(name))
	if err != nil {
		return &roots{}
	}
	r := &roots{size: info.Size(), modified: info.ModTime(), pem: data}
	h.bundles[name] = r
	return r
}

// parsed returns the certificates of r, without those that Go cannot parse, such as ones
// with a negative serial.
func (r *roots) parsed() []*x509.Certificate {
	if r.certs != nil {
		return r.certs
	}
	for rest := r.pem; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return r.certs
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil {
			r.certs = append(r.certs, cert)
		}
	}
}

// addBundles puts the authority behind the roots in [Bundle] and in every other place that
// has any. A place that is empty, but whose directory exists, becomes a link to Bundle.
func (h *Host) addBundles(l *Layer, system *roots, caPEM []byte) {
	for _, place := range bundles {
		name, ok := h.real(place)
		if name == "" || l.Files[name] != nil {
			continue
		}
		switch r := h.bundle(name); {
		case place == Bundle && len(r.pem) == 0:
			l.Files[name] = merge(system.pem, caPEM)
		case len(r.pem) > 0:
			l.Files[name] = merge(r.pem, caPEM)
		case ok:
			l.Links[name] = Bundle
		}
	}
	// p11-kit reads anchors at run time where it is the system's store (Fedora, Arch).
	for _, dir := range []string{"/etc/pki/ca-trust/source/anchors", "/etc/ca-certificates/trust-source/anchors"} {
		if name, ok := h.real(path.Join(dir, "bottled.pem")); ok {
			l.Files[name] = caPEM
		}
	}
}

// merge appends the authority to a bundle.
func merge(bundle, caPEM []byte) []byte {
	out := slices.Grow(slices.Clone(bundle), len(caPEM)+1)
	if len(out) > 0 && out[len(out)-1] != '\n' {
		out = append(out, '\n')
	}
	return append(out, caPEM...)
}

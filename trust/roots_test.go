package trust_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"bottled/ca"
	"bottled/trust"

	"golang.org/x/sys/unix"
)

// TestRoots: each authority of the bundle and of the directory is there once, links
// lead where they lead, and a change on the host is seen by the next bottle and by
// none before.
func TestRoots(t *testing.T) {
	root := t.TempDir()
	at := func(name string) string { return filepath.Join(root, name) }
	put := func(name string, text ...[]byte) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(at(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at(name), bytes.Join(text, nil), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	link := func(target, name string) {
		t.Helper()
		if err := os.Symlink(target, at(name)); err != nil {
			t.Fatal(err)
		}
	}
	authority := func(name string) []byte {
		a, err := ca.New(name, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return a.CertPEM()
	}
	both, bundled, added, late := authority("both"), authority("bundled"), authority("added"), authority("late")
	put("etc/ssl/certs/ca-certificates.crt", []byte("# comment\n"), both, bundled)
	put("usr/share/both.crt", both)
	put("usr/share/added.crt", added)
	link("../../../usr/share/both.crt", "etc/ssl/certs/both.pem")
	link("../../../usr/share/added.crt", "etc/ssl/certs/added.pem")
	link("added.pem", "etc/ssl/certs/0a1b2c3d.0")
	put("etc/ssl/certs/README", []byte("no certificate"))

	host := trust.NewHost(os.DirFS(root).(fs.ReadLinkFS))
	read := func() (*os.File, int, *x509.CertPool) {
		t.Helper()
		file, err := host.Roots()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close() })
		text, err := io.ReadAll(io.NewSectionReader(file, 0, 1<<20))
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(text)
		return file, bytes.Count(text, []byte("BEGIN CERTIFICATE")), pool
	}
	pool := func(texts ...[]byte) *x509.CertPool {
		p := x509.NewCertPool()
		for _, text := range texts {
			block, _ := pem.Decode(text)
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			p.AddCert(cert)
		}
		return p
	}
	first, n, got := read()
	if n != 3 || !got.Equal(pool(both, bundled, added)) {
		t.Errorf("%d certificates, not the three", n)
	}
	if _, err := unix.Write(int(first.Fd()), []byte("x")); err == nil {
		t.Error("an enforcer could write to what all have")
	}
	second, _, _ := read()
	if a, b := inode(t, first), inode(t, second); a != b {
		t.Error("two files for an unchanged host")
	}
	put("usr/share/added.crt", late, late) // behind a link: the directory does not change
	if _, n, got := read(); n != 3 || !got.Equal(pool(both, bundled, late)) {
		t.Errorf("%d certificates after the change", n)
	}
	if err := os.RemoveAll(at("etc")); err != nil {
		t.Fatal(err)
	}
	if _, n, _ := read(); n != 0 {
		t.Errorf("%d certificates of a host without any", n)
	}
}

func inode(t *testing.T, f *os.File) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

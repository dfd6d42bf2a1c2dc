package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bottled/ca"
)

func TestTheClientReadsTheFilesOfAManifest(t *testing.T) {
	dir := t.TempDir()
	authority, err := ca.New("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	put := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	certificate := string(authority.CertPEM())
	put("ca.pem", certificate)
	absolute := put("proxy.pem", certificate+certificate)
	file := put("bottle.yaml", "version: 1\nupstream_ca: ca.pem\nupstream_proxy: {url: \"https://proxy.example.com:3128\", ca: "+absolute+"}\n")

	t.Chdir("/") // a path is relative to the manifest
	m, err := readManifest(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.files) != 2 || m.files["ca.pem"] != certificate || m.files[absolute] != certificate+certificate {
		t.Errorf("got %d files: %v", len(m.files), m.files)
	}

	put("notes.txt", "s3cret notes of somebody")
	put("huge.pem", certificate+strings.Repeat("\n", maxPEM))
	for path, say := range map[string]string{
		"missing.pem": "missing.pem",
		"notes.txt":   "certificate",
		"huge.pem":    "larger than",
		"/etc/shadow": "certificate",
		".":           "directory",
	} {
		_, err := readManifest(put("bad.yaml", "version: 1\nupstream_ca: "+path+"\n"))
		if err == nil || !strings.Contains(err.Error(), say) || !strings.Contains(err.Error(), "upstream_ca") {
			t.Errorf("%s: %v", path, err)
		} else if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: the error holds the file", path)
		}
	}
}

package bottle

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func TestTheKeyOfFingerprintsIsMadeOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lib", "dlp.key")
	keys := make([][]byte, 8)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			key, err := openDLPKey(path)
			if err != nil {
				t.Error(err)
			}
			keys[i] = key
		})
	}
	wg.Wait()
	for _, k := range keys {
		if len(k) != dlpKeySize || !bytes.Equal(k, keys[0]) || bytes.Equal(k, make([]byte, dlpKeySize)) {
			t.Fatalf("%x, %x", k, keys[0])
		}
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
	if bytes.Equal(dlpKeyOf(keys[0], 1000), dlpKeyOf(keys[0], 1001)) {
		t.Error("two users have one key")
	}
	for name, spoil := range map[string]func() error{
		"readable": func() error { return os.Chmod(path, 0o640) },
		"foreign":  func() error { return os.Chown(path, 1, 1) },
		"short":    func() error { return os.WriteFile(path, []byte("x"), 0o600) },
		"a link":   func() error { return os.Symlink("/dev/zero", path) },
	} {
		os.Remove(path)
		if _, err := openDLPKey(path); err != nil {
			t.Fatalf("the control: %v", err)
		}
		if name == "a link" {
			os.Remove(path)
		}
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if key, err := openDLPKey(path); err == nil {
			t.Errorf("%s: %x", name, key)
		}
	}
}

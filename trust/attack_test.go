package trust_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bottled/attack"
	"bottled/trust"
)

// TestAttackHostTrust has a program outside the bottle, and one in another bottle, meet a leaf of
// the bottle's authority. The control is the program in the bottle.
func TestAttackHostTrust(t *testing.T) {
	mine, theirs := authority(t), authority(t)
	url := "https://localhost:" + serve(t, mine) + "/"
	h := trust.NewHost(os.DirFS("/").(fs.ReadLinkFS))
	layer := func(pem []byte) trust.Layer {
		l, err := h.Layer(pem, os.LookupEnv)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	own, other := layer(mine.CertPEM()), layer(theirs.CertPEM())
	get := func(b *bottle, l trust.Layer) attack.Probe {
		return func(t *testing.T) error {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			out, err := b.run(ctx, l.Env, "curl", "-sS", url)
			if err == nil && strings.Contains(out, greeting) {
				return nil
			}
			return errors.New(strings.TrimSpace(strings.SplitN(out, "\n", 2)[0]))
		}
	}
	in, host, elsewhere := newBottle(t, own), newBottle(t, trust.Layer{}), newBottle(t, other)
	attack.Stopped(t, "S19", "leaf for a program on the host", get(in, own), get(host, trust.Layer{}))
	attack.Stopped(t, "S19", "leaf for a program in another bottle", get(in, own), get(elsewhere, other))

	find := func(root string) attack.Probe {
		return func(t *testing.T) error {
			looked := 0
			for name := range own.Files {
				data, err := os.ReadFile(filepath.Join(root, name))
				if err == nil {
					looked++
				}
				if bytes.Contains(data, bytes.TrimSpace(mine.CertPEM())) {
					return nil
				}
			}
			if looked == 0 {
				t.Error("no file was looked at")
			}
			return errors.New("not in any of the files that the layer replaces")
		}
	}
	laid := t.TempDir()
	for name, data := range own.Files {
		if err := os.MkdirAll(filepath.Dir(laid+name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(laid+name, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	attack.Stopped(t, "S19", "authority in the host's trust store", find(laid), find("/"))
}

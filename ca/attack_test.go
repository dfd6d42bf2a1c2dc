package ca

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bottled/attack"

	"golang.org/x/sys/unix"
)

// TestAttackKeyTheft looks for the key in what is handed to the bottle and in what the process
// leaves on disk. The control looks in the hand-over, where it is.
func TestAttackKeyTheft(t *testing.T) {
	a := authority(t, "b")
	h, err := a.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	find := func(in []byte) attack.Probe {
		return func(t *testing.T) error {
			for _, form := range keyForms(t, a) {
				if bytes.Contains(in, []byte(form)) {
					return nil
				}
			}
			return errors.New("no form of the key is in it")
		}
	}
	attack.Stopped(t, "S18", "key in the exported certificate", find(h.Reveal()), find(a.CertPEM()))
	attack.Stopped(t, "S18", "key in a debug dump", find(h.Reveal()), find(fmt.Appendf(nil, "%+v %#v %v", a, *a, h)))
	attack.Stopped(t, "S18", "key in an error", find(h.Reveal()), find(fmt.Append(nil, func() error { _, err := Unmarshal(h.Reveal()[1:]); return err }())))
	attack.Stopped(t, "S18", "key in an open file of the process", find(h.Reveal()), find(openFiles(t)))
}

// openFiles is the content of every regular file that the process has open.
func openFiles(t *testing.T) []byte {
	t.Helper()
	names, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, name := range names {
		var st unix.Stat_t
		if unix.Stat(name, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG {
			b, _ := os.ReadFile(name)
			all = append(all, b...)
		}
	}
	return all
}

// TestAttackForeignTrust verifies a leaf with the trust of another bottle, and with that of the
// host, by Go and by openssl. The control has the bottle's own.
func TestAttackForeignTrust(t *testing.T) {
	a, other := authority(t, "a"), authority(t, "b")
	same := authority(t, "a") // the same name, another key
	cert := leaf(t, a, "api.example.com").Leaf
	verify := func(pool *x509.CertPool) attack.Probe {
		return func(*testing.T) error {
			_, err := cert.Verify(x509.VerifyOptions{DNSName: "api.example.com", Roots: pool})
			return err
		}
	}
	attack.Stopped(t, "S19", "leaf in another bottle", verify(roots(t, a)), verify(roots(t, other)))
	attack.Stopped(t, "S19", "leaf in a later bottle of the same name", verify(roots(t, a)), verify(roots(t, same)))
	attack.Stopped(t, "S19", "leaf on the host", verify(roots(t, a)), verify(nil))

	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	leafFile := write("leaf.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
	caFile := write("ca.pem", a.CertPEM())
	openssl := func(args ...string) attack.Probe {
		return func(*testing.T) error {
			out, err := exec.Command("openssl", append(append([]string{"verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "api.example.com"}, args...), leafFile)...).CombinedOutput()
			if err != nil {
				_, reason, _ := strings.Cut(string(out), "error ")
				return errors.New(strings.TrimSpace(reason))
			}
			return nil
		}
	}
	attack.Stopped(t, "S19", "leaf for the host's openssl", openssl("-CAfile", caFile), openssl())
}

// TestAttackMintFlood asks for more names than there is budget for. It succeeds if more are
// minted than the rate allows, if more are kept than the cache holds, or if an allowed
// name has to wait.
func TestAttackMintFlood(t *testing.T) {
	// A tenth of the real budget, so that a slow machine without any exceeds it.
	const names, wait, budgetRate, budgetBurst = 100_000, 2 * time.Second, MintRate / 10, MintBurst / 10
	flood := func(bound bool) attack.Probe {
		return func(t *testing.T) error {
			a := authority(t, "b")
			a.refused.limit.SetLimit(budgetRate)
			a.refused.limit.SetBurst(budgetBurst)
			if !bound {
				a.refused.limit.SetLimit(1e9)
				a.refused.limit.SetBurst(1e9)
			}
			ctx, cancel := context.WithTimeout(t.Context(), wait)
			defer cancel()
			start := time.Now()
			minted := 0
			for i := 0; i < names && ctx.Err() == nil; i++ {
				if _, err := a.Refusal(ctx, fmt.Sprintf("h%d.denied.example", i)); err == nil {
					minted++
				}
			}
			if _, err := a.Leaf(t.Context(), "allowed.example"); err != nil {
				t.Errorf("an allowed name meanwhile: %v", err)
			}
			a.refused.mu.Lock()
			kept := len(a.refused.leaves)
			a.refused.mu.Unlock()
			if kept > CacheSize {
				return nil
			}
			if budget := budgetBurst + int(time.Since(start).Seconds()*budgetRate) + 1; minted > budget {
				return nil
			}
			return fmt.Errorf("%d leaves minted in %v, at most %d kept; an allowed name was served", minted, wait, CacheSize)
		}
	}
	attack.Stopped(t, "X03", "flood of names to mint for", flood(false), flood(true))
}

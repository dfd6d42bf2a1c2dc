package ca

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func authority(t testing.TB, id string) *Authority {
	t.Helper()
	a, err := New(id, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func leaf(t testing.TB, a *Authority, name string) *tls.Certificate {
	t.Helper()
	cert, err := a.Leaf(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// roots is a store that trusts a.
func roots(t testing.TB, a *Authority) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(a.CertPEM()) {
		t.Fatal("the certificate is not in PEM")
	}
	return pool
}

func TestAuthority(t *testing.T) {
	a, b := authority(t, "b-1"), authority(t, "b-1")
	c := a.Certificate()
	if !c.IsCA || c.MaxPathLen != 0 || !c.MaxPathLenZero || !c.BasicConstraintsValid || c.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign {
		t.Errorf("not an authority for leaves alone: %+v", c)
	}
	if c.Subject.String() != "CN=bottled bottle b-1,O=bottled" || c.Issuer.String() != c.Subject.String() {
		t.Errorf("subject %s, issuer %s", c.Subject, c.Issuer)
	}
	if len(c.SubjectKeyId) != 20 || c.SerialNumber.Sign() <= 0 || len(c.SerialNumber.Bytes()) > 20 || c.SerialNumber.Cmp(b.Certificate().SerialNumber) == 0 {
		t.Errorf("key id %x, serial %v", c.SubjectKeyId, c.SerialNumber)
	}
	if time.Until(c.NotAfter) > Lifetime || time.Since(c.NotBefore) < backdate {
		t.Errorf("valid %v to %v", c.NotBefore, c.NotAfter)
	}
	if c.PublicKey.(*ecdsa.PublicKey).Equal(b.Certificate().PublicKey) {
		t.Error("two authorities have one key")
	}
	for _, id := range []string{"", strings.Repeat("x", maxID+1), "a b", "a/b", "a\n", "é", "a\x00"} {
		if _, err := New(id, time.Now()); err == nil {
			t.Errorf("id %q: taken", id)
		}
	}
}

func TestLeaf(t *testing.T) {
	a := authority(t, "b")
	pool := roots(t, a)
	long := strings.Repeat(strings.Repeat("a", 63)+".", 3) + strings.Repeat("b", 61)
	for _, name := range []string{"api.example.com", "xn--mnchen-3ya.example", "_egress-proxy.local", "egress-proxy", "203.0.113.9", "2001:db8::1", long} {
		cert := leaf(t, a, name)
		if _, err := cert.Leaf.Verify(x509.VerifyOptions{DNSName: bracket(name), Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := cert.Leaf.Verify(x509.VerifyOptions{DNSName: "other.example.com", Roots: pool}); err == nil {
			t.Errorf("%s: good for another name", name)
		}
		strict(t, a, cert.Leaf)
		if leaf(t, a, name) != cert {
			t.Errorf("%s: minted twice", name)
		}
	}
	if leaf(t, a, "a.example").Leaf.PublicKey.(*ecdsa.PublicKey).Equal(leaf(t, a, "b.example").Leaf.PublicKey) == false {
		t.Error("two leaves have two keys: each costs a key generation")
	}
}

// bracket writes an IPv6 address as [x509.Certificate.VerifyHostname] wants it.
func bracket(name string) string {
	if strings.Contains(name, ":") {
		return "[" + name + "]"
	}
	return name
}

// strict holds a leaf to the strictest of the clients: the Baseline Requirements as Apple,
// Chromium, Python's VERIFY_X509_STRICT, zlint and webpki check them.
func strict(t *testing.T, a *Authority, c *x509.Certificate) {
	t.Helper()
	switch {
	case len(c.DNSNames)+len(c.IPAddresses) != 1:
		t.Errorf("names %v %v", c.DNSNames, c.IPAddresses)
	case len(c.ExtKeyUsage) != 1 || c.ExtKeyUsage[0] != x509.ExtKeyUsageServerAuth:
		t.Errorf("usage %v", c.ExtKeyUsage)
	case c.KeyUsage != x509.KeyUsageDigitalSignature:
		t.Errorf("key usage %v", c.KeyUsage)
	case !bytes.Equal(c.AuthorityKeyId, a.Certificate().SubjectKeyId) || len(c.SubjectKeyId) != 20:
		t.Errorf("key ids %x, %x", c.AuthorityKeyId, c.SubjectKeyId)
	case c.IsCA || !c.BasicConstraintsValid:
		t.Error("may be an authority")
	case c.NotAfter.Sub(c.NotBefore) > 397*24*time.Hour || c.NotAfter.After(a.Certificate().NotAfter) || c.NotBefore.Before(a.Certificate().NotBefore.Add(-time.Second)):
		t.Errorf("valid %v to %v", c.NotBefore, c.NotAfter)
	case c.SerialNumber.Sign() <= 0 || len(c.SerialNumber.Bytes()) < 8 || len(c.SerialNumber.Bytes()) > 20:
		t.Errorf("serial %v", c.SerialNumber)
	case c.SignatureAlgorithm != x509.ECDSAWithSHA256:
		t.Errorf("signature %v", c.SignatureAlgorithm)
	case len(c.Subject.Names) == 0:
		t.Error("empty subject: the alternative name would have to be critical")
	}
	for _, e := range c.Extensions {
		if critical := e.Id.String() == "2.5.29.15" || e.Id.String() == "2.5.29.19"; e.Critical != critical {
			t.Errorf("extension %v: critical %v", e.Id, e.Critical)
		}
	}
}

func TestLeafNames(t *testing.T) {
	a := authority(t, "b")
	for _, name := range []string{
		"", ".", "a.", ".a", "a..b", "A.example", "*.example.com", "a b", "a/b", "a\x00.example.com", "a\n", "é.example", "a:443", "[::1]",
		"::ffff:1.2.3.4", "fe80::1%eth0", "2001:DB8::1", "2001:0db8::1", strings.Repeat("a", 64) + ".com", strings.Repeat("a.", 127) + "a",
	} {
		if cert, err := a.Leaf(t.Context(), name); err == nil {
			t.Errorf("%q: minted %v", name, cert.Leaf.DNSNames)
		}
	}
}

// TestHandshake speaks TLS over a leaf, whose key is behind a function.
func TestHandshake(t *testing.T) {
	a := authority(t, "b")
	server := &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) { return a.Leaf(h.Context(), h.ServerName) }}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		c, s := net.Pipe()
		var wg sync.WaitGroup
		wg.Go(func() { tls.Server(s, server).HandshakeContext(t.Context()) })
		client := tls.Client(c, &tls.Config{RootCAs: roots(t, a), ServerName: "api.example.com", MaxVersion: version})
		if err := client.HandshakeContext(t.Context()); err != nil {
			t.Errorf("%x: %v", version, err)
		}
		c.Close()
		s.Close()
		wg.Wait()
	}
}

func TestExpiry(t *testing.T) {
	a := authority(t, "b")
	now := time.Now()
	a.now = func() time.Time { return now }
	first := leaf(t, a, "a.example")
	now = now.Add(leafLifetime - leafRenew + time.Minute)
	second := leaf(t, a, "a.example")
	if first == second || !second.Leaf.NotAfter.After(first.Leaf.NotAfter) {
		t.Error("a leaf that ends within the hour was not minted anew")
	}
	now = a.cert.NotAfter.Add(-24 * time.Hour)
	if last := leaf(t, a, "a.example"); last.Leaf.NotAfter.After(a.cert.NotAfter) {
		t.Error("a leaf outlives its authority")
	}
	now = a.cert.NotAfter.Add(-leafRenew)
	if _, err := a.Leaf(t.Context(), "b.example"); err == nil || !strings.Contains(err.Error(), "start the bottle again") {
		t.Errorf("at the end of the authority: %v", err)
	}
}

func TestSingleFlight(t *testing.T) {
	m := newMint()
	var signed int
	var wg sync.WaitGroup
	gate := make(chan struct{})
	for range 50 {
		wg.Go(func() {
			cert, err := m.once(t.Context(), "a", func() (*tls.Certificate, error) {
				signed++
				<-gate
				return &tls.Certificate{Leaf: &x509.Certificate{NotAfter: time.Now().Add(time.Hour)}}, nil
			})
			if err != nil || cert == nil {
				t.Errorf("%v", err)
			}
		})
	}
	time.Sleep(20 * time.Millisecond)
	close(gate)
	wg.Wait()
	if signed != 1 {
		t.Errorf("signed %d times", signed)
	}
}

// TestCancel ends the call that started a run: the run goes on for the others.
func TestCancel(t *testing.T) {
	m := newMint()
	ctx, cancel := context.WithCancel(t.Context())
	gate, started := make(chan struct{}), make(chan struct{})
	sign := func() (*tls.Certificate, error) {
		close(started)
		<-gate
		return &tls.Certificate{}, nil
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := m.once(ctx, "a", sign); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
	<-started
	wg.Go(func() {
		if _, err := m.once(t.Context(), "a", nil); err != nil {
			t.Errorf("%v", err)
		}
	})
	time.Sleep(20 * time.Millisecond)
	cancel()
	time.Sleep(20 * time.Millisecond)
	close(gate)
	wg.Wait()
}

func TestBounds(t *testing.T) {
	a := authority(t, "b")
	a.allowed.limit.SetBurst(CacheSize + 10)
	a.allowed.limit.SetLimit(1e6)
	leaf(t, a, "first.example")
	for i := range CacheSize {
		leaf(t, a, fmt.Sprintf("h%d.example", i))
		if i == 5 {
			leaf(t, a, "h0.example") // used again: not the next to go
		}
	}
	if n := len(a.allowed.leaves); n != CacheSize || a.allowed.recent.Len() != CacheSize {
		t.Errorf("%d leaves kept", n)
	}
	if a.allowed.cached("first.example", time.Now()) != nil || a.allowed.cached("h0.example", time.Now()) == nil {
		t.Error("not the longest unused one went")
	}
}

func TestRate(t *testing.T) {
	a := authority(t, "b")
	a.refused.limit.SetBurst(3)
	a.refused.limit.SetLimit(0.01)
	for i := range 3 {
		if _, err := a.Refusal(t.Context(), fmt.Sprintf("h%d.example", i)); err != nil {
			t.Fatal(err)
		}
	}
	start := time.Now()
	if _, err := a.Refusal(t.Context(), "over.example"); !errors.Is(err, ErrBusy) || time.Since(start) > MintWait {
		t.Errorf("over the rate, after %v: %v", time.Since(start), err)
	}
	if _, err := a.Refusal(t.Context(), "h0.example"); err != nil {
		t.Errorf("a leaf that is there: %v", err)
	}
	if _, err := a.Leaf(t.Context(), "allowed.example"); err != nil {
		t.Errorf("an allowed name, after a flood of denied ones: %v", err)
	}
}

func TestHandover(t *testing.T) {
	a := authority(t, "b")
	h, err := a.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	b, err := Unmarshal(h.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.CertPEM(), b.CertPEM()) {
		t.Error("another certificate came out")
	}
	if _, err := leaf(t, b, "a.example").Leaf.Verify(x509.VerifyOptions{DNSName: "a.example", Roots: roots(t, a)}); err != nil {
		t.Error(err)
	}
	der := h.Reveal()
	other, _ := authority(t, "b").Marshal()
	mixed := bytes.Replace(der, a.cert.Raw, authority(t, "b").cert.Raw, 1)
	for name, bad := range map[string][]byte{
		"nothing": nil, "cut off": der[:len(der)-1], "trailing": append(bytes.Clone(der), 0), "mixed": mixed,
		"version": bytes.Replace(bytes.Clone(der), []byte{2, 1, 1}, []byte{2, 1, 2}, 1), "leaf": leafHandover(t, a),
	} {
		if _, err := Unmarshal(bad); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if bytes.Equal(other.Reveal(), der) {
		t.Error("two authorities are one")
	}
	var zero Handover
	if zero.Reveal() != nil {
		t.Error("the zero hand-over has something")
	}
}

// leafHandover is a hand-over whose certificate is a leaf.
func leafHandover(t *testing.T, a *Authority) []byte {
	fake := *a
	fake.cert, fake.key = leaf(t, a, "a.example").Leaf, a.leafKey
	h, err := fake.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return h.Reveal()
}

// keyForms are the ways in which a printer may spell the private key of a.
func keyForms(t *testing.T, a *Authority) []string {
	t.Helper()
	d, err := a.key.key().Bytes()
	if err != nil {
		t.Fatal(err)
	}
	forms := []string{string(d), fmt.Sprintf("%x", d), fmt.Sprintf("%X", d), strings.Trim(fmt.Sprint(d), "[]"), new(big.Int).SetBytes(d).String()}
	return append(forms, string(pem.EncodeToMemory(&pem.Block{Type: "X", Bytes: d}))[20:60])
}

func TestUnprintable(t *testing.T) {
	a := authority(t, "b")
	h, err := a.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	forms := append(keyForms(t, a), fmt.Sprintf("%x", h.Reveal()), string(h.Reveal()))
	type holder struct {
		a *Authority
		b Authority
		h Handover
		c *tls.Certificate
	}
	cert := leaf(t, authority(t, "c"), "x.example") // of another: printers race with minting
	for _, v := range []any{a, *a, h, &h, holder{a, *a, h, cert}, cert, []any{a, h}, a.key} {
		out := fmt.Sprintf("%v %+v %#v %s %x %X %q %d", v, v, v, v, v, v, v, v)
		js, err := json.Marshal(v)
		out += string(js) + fmt.Sprint(err)
		for _, form := range forms {
			if strings.Contains(out, form) {
				t.Errorf("%T prints its key", v)
			}
		}
	}
	if got := fmt.Sprintf("%v %+v %s", a, *a, a); got != strings.TrimSpace(strings.Repeat("[authority of bottled bottle b] ", 3)) {
		t.Errorf("an authority prints as %s", got)
	}
	if fmt.Sprint(h) != "[certificate authority]" || reflect.TypeFor[Handover]().Comparable() {
		t.Errorf("a hand-over prints as %v", h)
	}
	if _, err := json.Marshal(h); err == nil {
		t.Error("a hand-over is JSON")
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		authority(b, "b")
	}
}

func BenchmarkMint(b *testing.B) {
	a := authority(b, "b")
	for b.Loop() {
		if _, err := a.sign("api.example.com"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCached(b *testing.B) {
	a := authority(b, "b")
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			leaf(b, a, "api.example.com")
		}
	})
}

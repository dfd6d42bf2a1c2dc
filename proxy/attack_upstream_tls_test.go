package proxy_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"bottled/attack"
	"bottled/proxy"
)

// issuer signs what an upstream presents, however odd.
type issuer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{}
	var err error
	if i.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "issuer"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().AddDate(-30, 0, 0), NotAfter: time.Now().AddDate(30, 0, 0), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &i.key.PublicKey, i.key)
	if err != nil {
		t.Fatal(err)
	}
	if i.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return i
}

// issue returns a leaf for api.example.com, changed by change.
func (i *issuer) issue(t *testing.T, public any, key crypto.Signer, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: []string{"api.example.com"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, i.cert, public, i.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// hollow is a key of any size that signs nothing.
type hollow struct{ public crypto.PublicKey }

func (h hollow) Public() crypto.PublicKey { return h.public }
func (h hollow) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return make([]byte, 2048), nil
}

// An upstream whose certificates are out of their time, or a load for who reads them,
// gets no request; the clock is not asked whether to be lenient.
func TestAttackUpstreamCertificates(t *testing.T) {
	i := newIssuer(t)
	roots := x509.NewCertPool()
	roots.AddCert(i.cert)
	w := newWorld(t, injecting, func(_ *world, c *proxy.Config) { c.Roots = func() *x509.CertPool { return roots } })
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := func(change func(*x509.Certificate)) tls.Certificate { return i.issue(t, &key.PublicKey, key, change) }
	with := func(c tls.Certificate, n int) tls.Certificate {
		for range n {
			c.Certificate = append(c.Certificate, i.cert.Raw)
		}
		return c
	}
	huge := &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 16383, 1), E: 65537}
	deep := bytes.Repeat([]byte{0x30, 0x80}, 20_000) // indefinite lengths, one in the other
	junk := pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: deep}
	many := func(c *x509.Certificate) {
		for n := range 3000 {
			c.DNSNames = append(c.DNSNames, fmt.Sprintf("h%d.example.com", n))
		}
		c.DNSNames = c.DNSNames[1:]
	}
	present := func(c tls.Certificate) error {
		s := w.sink(443, lastReply, "api.example.com")
		s.tls.Certificates = []tls.Certificate{c}
		reply := raw(t, w.tls("api.example.com", 443, "http/1.1"), head+"Connection: close\r\n\r\n")
		if strings.Contains(s.text(), "GET /") {
			if !strings.Contains(s.text(), token) {
				t.Errorf("without its credential: %q", s.text())
			}
			return nil
		}
		line, _, _ := strings.Cut(reply, "\r\n")
		return errors.New(line)
	}
	good := func(*testing.T) error { return present(leaf(nil)) }
	for _, row := range []struct {
		id, name string
		cert     tls.Certificate
	}{
		{"R18", "a certificate that will be valid, as after a jump of the clock", leaf(func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().AddDate(10, 0, 0), time.Now().AddDate(11, 0, 0)
		})},
		{"R18", "a certificate that was valid", leaf(func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().AddDate(-11, 0, 0), time.Now().AddDate(-10, 0, 0)
		})},
		{"S15", "expired a moment ago", leaf(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-2 * time.Second) })},
		{"S15", "valid in a minute", leaf(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) })},
		{"S15", "for clients", leaf(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })},
		{"S15", "a common name and nothing else", leaf(func(c *x509.Certificate) { c.DNSNames, c.Subject.CommonName = nil, "api.example.com" })},
		{"S15", "a wildcard for the top", leaf(func(c *x509.Certificate) { c.DNSNames = []string{"*"} })},
		{"S15", "a wildcard in a label", leaf(func(c *x509.Certificate) { c.DNSNames = []string{"a*.example.com"} })},
		{"S15", "a wildcard for two labels", leaf(func(c *x509.Certificate) { c.DNSNames = []string{"*.*.com"} })},
		{"S22", "an RSA key of 16,384 bits", i.issue(t, huge, hollow{huge}, nil)},
		{"S22", "an extension that nests 20,000 times", leaf(func(c *x509.Certificate) { c.ExtraExtensions = append(c.ExtraExtensions, junk) })},
		{"S22", "a chain of half a MiB", with(leaf(nil), 1200)},
		{"S22", "3,000 other names", leaf(many)},
		{"S22", "a critical extension that nobody knows", leaf(func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}})
		})},
	} {
		attack.Stopped(t, row.id, row.name, good, func(*testing.T) error { return present(row.cert) })
	}
	if err := good(t); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// What a program puts into its own ClientHello is in none that leaves.
func TestAttackHelloMetadata(t *testing.T) {
	w := newWorld(t, bareAPI)
	// hello is what the upstream sees of the first message, apart from what is random.
	hello := func(client *tls.Config) (tls.ClientHelloInfo, []byte) {
		leaf, err := w.authority.Leaf("api.example.com")
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		w.at(443, l.Addr().String())
		w.server.Swap(w.table(bareAPI, 2))
		var seen tls.ClientHelloInfo
		var record []byte
		var served sync.WaitGroup
		served.Go(func() {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			kept := &keeping{Conn: c}
			server := tls.Server(kept, &tls.Config{Certificates: []tls.Certificate{leaf}, GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
				seen, record = *h, bytes.Clone(kept.got.Bytes())
				seen.Conn = nil
				return nil, nil
			}})
			if server.Handshake() == nil {
				server.Read(make([]byte, 4096))
				io.WriteString(server, lastReply)
			}
		})
		client = client.Clone()
		client.ServerName, client.RootCAs = "api.example.com", w.trust()
		c := tls.Client(w.connectName("api.example.com", 443), client)
		defer c.Close()
		if reply := raw(t, c, head+"Connection: close\r\n\r\n"); !strings.HasPrefix(reply, "HTTP/1.1 200") {
			t.Fatalf("%q", reply)
		}
		served.Wait()
		return seen, record
	}
	shape := func(h tls.ClientHelloInfo, record []byte) string {
		return fmt.Sprintf("%d bytes, %q %v %v %v %v %v %v %v", len(record), h.ServerName, h.CipherSuites, h.SupportedCurves, h.SupportedPoints, h.SignatureSchemes, h.SupportedProtos, h.SupportedVersions, h.Extensions)
	}
	standard := shape(hello(&tls.Config{}))
	for name, client := range map[string]*tls.Config{
		"ALPN":     {NextProtos: []string{"http/1.1", "x-canary"}},
		"versions": {MaxVersion: tls.VersionTLS12},
		"ciphers":  {MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384}},
		"curves":   {CurvePreferences: []tls.CurveID{tls.CurveP256}},
		"random":   {Rand: bytes.NewReader(bytes.Repeat([]byte("canary__"), 1000))},
	} {
		attack.Stopped(t, "L19", name,
			func(*testing.T) error { // the enforcer itself sees it: it is in the client's
				client := client.Clone()
				client.ServerName = "api.example.com"
				if same(client) {
					return errors.New("the hello is the standard one")
				}
				return nil
			},
			func(*testing.T) error {
				seen, record := hello(client)
				if shape(seen, record) != standard || bytes.Contains(record, []byte("canary")) {
					t.Logf("%s instead of %s", shape(seen, record), standard)
					return nil
				}
				return errors.New("the upstream saw the same as ever")
			})
	}
}

// same reports whether a client's hello is the standard one, apart from what is random.
func same(client *tls.Config) bool {
	first := func(c *tls.Config) string {
		near, far := net.Pipe()
		defer far.Close()
		go func() { tls.Client(near, c).Handshake(); near.Close() }()
		var text string
		tls.Server(far, &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			text = fmt.Sprint(h.CipherSuites, h.SupportedCurves, h.SupportedProtos, h.SupportedVersions)
			return nil, errors.New("enough")
		}}).Handshake()
		return text
	}
	return client.Rand == nil && first(client) == first(&tls.Config{ServerName: client.ServerName})
}

// keeping keeps what was read.
type keeping struct {
	net.Conn
	got bytes.Buffer
}

func (k *keeping) Read(p []byte) (int, error) {
	n, err := k.Conn.Read(p)
	k.got.Write(p[:n])
	return n, err
}

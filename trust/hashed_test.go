package trust

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
)

// opensslHash is what the openssl program says about a certificate.
func opensslHash(t *testing.T, certPEM []byte) string {
	t.Helper()
	cmd := exec.Command("openssl", "x509", "-noout", "-subject_hash")
	cmd.Stdin = bytes.NewReader(certPEM)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("openssl: %v", err)
	}
	return strings.TrimSpace(string(out))
}

func TestSubjectHash(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cn, org := asn1.ObjectIdentifier{2, 5, 4, 3}, asn1.ObjectIdentifier{2, 5, 4, 10}
	type attr = asn1Attribute
	str := func(tag int, s string) asn1.RawValue { return asn1.RawValue{Tag: tag, Bytes: []byte(s)} }
	for name, rdns := range map[string][][]attr{
		"plain":        {{{cn, str(asn1.TagPrintableString, "plain")}}},
		"case, spaces": {{{org, str(asn1.TagPrintableString, "  Bottled   AND\tSons ")}}, {{cn, str(asn1.TagUTF8String, "Bottle 7")}}},
		"UTF-8":        {{{cn, str(asn1.TagUTF8String, "Ünïcödé ÀB")}}},
		"T61":          {{{cn, str(asn1.TagT61String, "M\xfcnchen")}}},
		"BMP":          {{{cn, str(asn1.TagBMPString, "\x00A\x00 \x00 \x20\xac")}}},
		"Universal":    {{{cn, str(28, "\x00\x00\x00A\x00\x01\xf6\x00")}}},
		"IA5":          {{{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, str(asn1.TagIA5String, "CA@Example.COM")}}},
		"several":      {{{cn, str(asn1.TagUTF8String, "Z")}, {org, str(asn1.TagUTF8String, "A long one")}}, {{cn, str(asn1.TagUTF8String, "B")}}},
		"order folds":  {{{cn, str(asn1.TagUTF8String, "b   b")}, {cn, str(asn1.TagUTF8String, "A")}}},
	} {
		t.Run(name, func(t *testing.T) {
			var raw []byte
			for _, rdn := range rdns {
				der, err := asn1.MarshalWithParams(rdn, "set")
				if err != nil {
					t.Fatal(err)
				}
				raw = append(raw, der...)
			}
			raw, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: raw})
			if err != nil {
				t.Fatal(err)
			}
			template := &x509.Certificate{RawSubject: raw, Subject: pkix.Name{}, NotAfter: time.Now().Add(time.Hour)}
			der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
			if err != nil {
				t.Fatal(err)
			}
			got, err := subjectHash(raw)
			if err != nil {
				t.Fatal(err)
			}
			if want := opensslHash(t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})); fmt.Sprintf("%08x", got) != want {
				t.Errorf("%08x; openssl says %s", got, want)
			}
		})
	}
}

// TestSubjectHashOfRoots compares with the names that the host's own links have.
func TestSubjectHashOfRoots(t *testing.T) {
	r := &roots{}
	var err error
	if r.pem, err = os.ReadFile(Bundle); err != nil {
		t.Fatal(err)
	}
	for _, cert := range r.parsed() {
		hash, err := subjectHash(cert.RawSubject)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(fmt.Sprintf("%s/%08x.0", debianDir, hash)); err != nil {
			t.Errorf("%s: %v", cert.Subject, err)
		}
	}
	if len(r.parsed()) < 50 {
		t.Errorf("the host has %d roots", len(r.parsed()))
	}
}

func TestSubjectHashMalformed(t *testing.T) {
	for _, raw := range []string{"", "\x30", "\x30\x02\x31", "\x30\x02\x05\x00", "\x30\x00\x00"} {
		if _, err := subjectHash([]byte(raw)); err == nil && raw != "" {
			t.Errorf("%q: taken", raw)
		}
	}
}

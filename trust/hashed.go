package trust

import (
	"crypto/sha1"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// hashedDirs are the directories in which OpenSSL looks up an issuer by its hash. [Anchor]
// lies in the first.
var hashedDirs = []string{debianDir, "/etc/pki/tls/certs"}

// addHashed puts the authority, and the link by which OpenSSL finds it
// (openssl-rehash(1)), into each directory.
func (h *Host) addHashed(l *Layer, ca *x509.Certificate, caPEM []byte) error {
	hash, err := subjectHash(ca.RawSubject)
	if err != nil {
		return err
	}
	for _, dir := range hashedDirs {
		name, ok := resolve(h.fsys, dir)
		if !ok || dir != debianDir && !h.isDir(name) || l.Files[path.Join(name, "bottled.pem")] != nil {
			continue
		}
		l.Files[path.Join(name, "bottled.pem")] = caPEM
		for n := 0; ; n++ { // the host may have another subject with the same hash
			link := path.Join(name, fmt.Sprintf("%08x.%d", hash, n))
			if _, err := h.fsys.Lstat(rel(link)); errors.Is(err, fs.ErrNotExist) {
				l.Links[link] = "bottled.pem"
				break
			} else if err != nil {
				return err
			}
		}
	}
	return nil
}

// subjectHash is X509_NAME_hash_ex of OpenSSL 1.0 and later: the first four bytes, read
// little-endian, of the SHA-1 of the canonical form of a name (x509_name_canon in
// crypto/x509/x_name.c). That form is the RDNs without the SEQUENCE around them, each
// string as UTF8String in lower case, trimmed, with runs of space made one.
func subjectHash(rawName []byte) (uint32, error) {
	var name asn1.RawValue
	if rest, err := asn1.Unmarshal(rawName, &name); err != nil || len(rest) > 0 {
		return 0, errors.New("malformed subject")
	}
	sum := sha1.New()
	for rdns := name.Bytes; len(rdns) > 0; {
		var set []asn1Attribute
		rest, err := asn1.UnmarshalWithParams(rdns, &set, "set")
		if err != nil {
			return 0, fmt.Errorf("malformed subject: %w", err)
		}
		for i := range set {
			set[i].Value = canonical(set[i].Value)
		}
		der, err := asn1.MarshalWithParams(set, "set")
		if err != nil {
			return 0, err
		}
		sum.Write(der)
		rdns = rest
	}
	return binary.LittleEndian.Uint32(sum.Sum(nil)), nil
}

type asn1Attribute struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

// canonical is the canonical form of an attribute's value; what is not a string of the
// kinds that OpenSSL folds stays as it is (ASN1_MASK_CANON).
func canonical(v asn1.RawValue) asn1.RawValue {
	if v.Class != asn1.ClassUniversal {
		return v
	}
	var s string
	switch v.Tag {
	case asn1.TagUTF8String, asn1.TagPrintableString, asn1.TagIA5String, 26 /* VisibleString */ :
		s = string(v.Bytes)
	case asn1.TagT61String: // OpenSSL reads it as Latin-1
		for _, c := range v.Bytes {
			s += string(rune(c))
		}
	case asn1.TagBMPString:
		var units []uint16
		for i := 0; i+1 < len(v.Bytes); i += 2 {
			units = append(units, binary.BigEndian.Uint16(v.Bytes[i:]))
		}
		s = string(utf16.Decode(units))
	case 28: // UniversalString
		for i := 0; i+3 < len(v.Bytes); i += 4 {
			s += string(rune(binary.BigEndian.Uint32(v.Bytes[i:])))
		}
	default:
		return v
	}
	if !utf8.ValidString(s) {
		return v
	}
	s = strings.Join(strings.FieldsFunc(s, isSpace), " ")
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' { // ASCII alone is folded
			b[i] = c + 'a' - 'A'
		}
	}
	return asn1.RawValue{Class: asn1.ClassUniversal, Tag: asn1.TagUTF8String, Bytes: b}
}

// isSpace is ossl_isspace.
func isSpace(r rune) bool { return r == ' ' || '\t' <= r && r <= '\r' }

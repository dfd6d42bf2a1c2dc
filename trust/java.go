package trust

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"

	"software.sslmate.com/src/go-pkcs12"
)

// debianCacerts is what Debian's JDKs link to.
const debianCacerts = debianDir + "/java/cacerts"

// addJava replaces the trust store of every JDK that was found. None is read: the new one
// holds the system's roots and the authority, in a PKCS #12 file without a password, as
// JDK 18 and later have it themselves and 8u301, 11.0.12 and 17 read it. There is
// no variable for this: JAVA_TOOL_OPTIONS makes every JVM print a line.
func (h *Host) addJava(l *Layer, system *roots, ca *x509.Certificate, stores []string) error {
	if len(stores) == 0 {
		return nil
	}
	entries := []pkcs12.TrustStoreEntry{{Cert: ca, FriendlyName: "bottled"}}
	for _, cert := range system.parsed() {
		entries = append(entries, pkcs12.TrustStoreEntry{Cert: cert, FriendlyName: alias(cert)})
	}
	store, err := pkcs12.Passwordless.EncodeTrustStoreEntries(entries, "")
	if err != nil {
		return fmt.Errorf("the trust store of Java: %w", err)
	}
	for _, name := range stores {
		l.Files[name] = store
	}
	return nil
}

// alias names a root for keytool -list. It is unique: Java takes two entries with one
// alias for one.
func alias(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return strings.ToLower(cert.Subject.CommonName) + " " + hex.EncodeToString(sum[:4])
}

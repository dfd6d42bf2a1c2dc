package dns

import (
	"strconv"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// canonical is a name as it goes into a [Query].
func canonical(n dnsmessage.Name) string { return lower(strings.TrimSuffix(n.String(), ".")) }

// typeName is the name of a record type in presentation format (RFC 3597, section 5).
func typeName(t dnsmessage.Type) string {
	if name, ok := strings.CutPrefix(t.String(), "Type"); ok {
		return name
	}
	return "TYPE" + strconv.Itoa(int(t))
}

// codeName is the mnemonic of a response code (RFC 6895, section 2.3).
func codeName(c dnsmessage.RCode) string {
	switch c {
	case dnsmessage.RCodeSuccess:
		return "NOERROR"
	case dnsmessage.RCodeFormatError:
		return "FORMERR"
	case dnsmessage.RCodeServerFailure:
		return "SERVFAIL"
	case dnsmessage.RCodeNameError:
		return "NXDOMAIN"
	case dnsmessage.RCodeNotImplemented:
		return "NOTIMP"
	case dnsmessage.RCodeRefused:
		return "REFUSED"
	case badVers:
		return "BADVERS"
	}
	return "RCODE" + strconv.Itoa(int(c))
}

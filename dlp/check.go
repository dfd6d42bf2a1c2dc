package dlp

import (
	"bytes"
	"hash/crc32"
	"math"
)

// checks are the validators of rules by id: whether the match is one at all, and
// whether a checksum in it confirms it.
var checks = map[string]func([]byte) (bool, bool){
	"github-pat":           tokenCRC,
	"github-oauth":         tokenCRC,
	"github-app-token":     tokenCRC,
	"github-refresh-token": tokenCRC,
	"npm-access-token":     tokenCRC,
}

// entropy is the Shannon entropy of s in bits per byte.
func entropy(s []byte) float64 {
	var count [256]int
	for _, c := range s {
		count[c]++
	}
	h := 0.0
	for _, n := range count {
		if n > 0 {
			p := float64(n) / float64(len(s))
			h -= p * math.Log2(p)
		}
	}
	return h
}

// tokenCRC checks tokens of the form prefix_ + 30 characters + CRC-32 of those in
// six digits of base 62, as GitHub and npm make them. A wrong checksum does not
// acquit: the prefix alone is a claim, and forms change.
func tokenCRC(s []byte) (bool, bool) {
	at := bytes.IndexByte(s, '_')
	if at < 0 || len(s) != at+1+36 {
		return true, false
	}
	body, sum := s[at+1:at+31], s[at+31:]
	n := uint64(0)
	for _, c := range sum {
		d := bytes.IndexByte([]byte("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"), c)
		if d < 0 {
			return true, false
		}
		n = n*62 + uint64(d)
	}
	return true, n == uint64(crc32.ChecksumIEEE(body))
}

// luhn checks the digits of a payment card (ISO/IEC 7812-1, annex B).
func luhn(digits []byte) bool {
	sum := 0
	for i := range digits {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// card reports whether digits, without separators, are a card number: the length
// and first digits of an issuer in use, and the check digit.
func card(digits []byte) bool {
	n := len(digits)
	if n < 13 || n > 19 {
		return false
	}
	two := int(digits[0]-'0')*10 + int(digits[1]-'0')
	four := two*100 + int(digits[2]-'0')*10 + int(digits[3]-'0')
	switch {
	case two == 34 || two == 37: // American Express
		if n != 15 {
			return false
		}
	case digits[0] == '4': // Visa
		if n != 13 && n != 16 && n != 19 {
			return false
		}
	case two >= 51 && two <= 55, four >= 2221 && four <= 2720: // Mastercard
		if n != 16 {
			return false
		}
	case four == 6011, two == 65, two == 62, two == 35, two == 36, two == 38: // Discover, UnionPay, JCB, Diners
		if n < 14 {
			return false
		}
	default:
		return false
	}
	return luhn(digits)
}

// ibanLength is the length of an IBAN by country (ISO 13616 registry).
var ibanLength = map[string]int{
	"AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28,
	"CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
	"FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
	"IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
	"LU": 20, "LV": 21, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15,
	"PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SE": 24, "SI": 19, "SK": 24,
	"SM": 27, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}

// iban returns the length of the IBAN at the start of s, which has no separators,
// or 0: country, length, and remainder 1 modulo 97 (ISO 7064).
func iban(s []byte) int {
	if len(s) < 15 || s[2] < '0' || s[2] > '9' || s[3] < '0' || s[3] > '9' {
		return 0
	}
	n := ibanLength[string(s[:2])]
	if n == 0 || len(s) < n {
		return 0
	}
	rest := 0
	for i := range n {
		switch c := s[(i+4)%n]; {
		case '0' <= c && c <= '9':
			rest = (rest*10 + int(c-'0')) % 97
		case 'A' <= c && c <= 'Z':
			rest = (rest*100 + int(c-'A') + 10) % 97
		default:
			return 0
		}
	}
	if rest != 1 {
		return 0
	}
	return n
}

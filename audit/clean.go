package audit

import (
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of the strings in an event, in bytes. What is longer is cut and ends in "…".
const (
	maxName = 256  // names, codes and ids; a DNS name is at most 253
	maxText = 1024 // paths and details
)

// clean returns e with every string within its bound, so that a line has a
// largest size whatever a peer sent, and without user information in the authority.
// What it returns can be said in JSON: an enforcer in an attacker's hand must not end
// the reading of a log.
func (e Event) clean() Event {
	if i := strings.LastIndexByte(e.Authority, '@'); i >= 0 {
		e.Authority = e.Authority[i+1:]
	}
	for _, s := range []*string{
		(*string)(&e.Kind), &e.Bottle, &e.Owner, &e.RequestID, &e.Protocol, &e.Scheme, &e.SNI,
		&e.Authority, &e.Method, &e.Reason, &e.Route, &e.Rule, &e.Where, &e.Fingerprint, &e.Process.Comm,
	} {
		*s = cut(*s, maxName)
	}
	e.Path.s = cut(e.Path.s, maxText)
	e.Detail = cut(e.Detail, maxText)
	for _, a := range []*netip.AddrPort{&e.OriginalDst, &e.Dialled} {
		*a = netip.AddrPortFrom(a.Addr().WithZone(""), a.Port()) // a zone is any text of any length
	}
	if e.Time = e.Time.UTC(); e.Time.Year() < 0 || e.Time.Year() > 9999 { // RFC 3339 has four digits
		e.Time = time.Time{}
	}
	return e
}

// cut shortens s to at most n bytes, at a rune boundary, and makes it valid UTF-8.
func cut(s string, n int) string {
	if len(s) > n {
		n -= len("…")
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n] + "…"
	}
	return strings.ToValidUTF8(s, "\ufffd")
}

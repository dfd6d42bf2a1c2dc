package dlp

import (
	"slices"
)

// Scan judges one request, or one WebSocket connection. It must be closed, and is
// not safe for concurrent use.
type Scan struct {
	e      *Engine
	route  string
	values joiner // values in the order of the document
	keys   joiner // keys of JSON objects, likewise

	fed       int64 // bytes given to bodies and messages
	mark      int64 // fed, before the piece in hand
	work      int64
	inflated  int64
	open      []*stream // compressed streams that go on
	findings  []Finding
	spans     []span // to overwrite, of the part in hand
	hidden    bool   // something is in it that spans do not reach
	redaction redaction
	passed    []excused // matches that are exempt
	err       error     // the first Refusal or BlockedError
	closed    bool
	messages  [2]*view

	trail     *Trail // of what went before; nil: none
	trailScan uint64 // which of its scans this is
	followed  int    // values
	key       []byte // of JSON or a form, whose value comes
	desk      *desk
}

// desk is what short parts are looked at with. A scan has one until it is closed.
type desk struct {
	text  []byte
	spare piece
}

// span is a match in a part, in bytes from its start.
type span struct{ from, to int64 }

// Scan starts to judge a request that goes by the named route.
func (e *Engine) Scan(route string) *Scan {
	s := &Scan{e: e, route: route}
	if s.desk, _ = e.desks.Get().(*desk); s.desk == nil {
		s.desk = new(desk)
	}
	s.values.s, s.keys.s = s, s
	return s
}

// Err returns nil while the request may go on: the reason of a block
// (*[BlockedError]) or of a refusal (*[Refusal]) otherwise.
//
// It also judges what has been joined so far, so ask once per head and not per
// field.
func (s *Scan) Err() error {
	if !s.closed {
		s.values.judge()
		s.keys.judge()
	}
	return s.err
}

// Field judges one short part and returns its value, in which matches of rules in
// mode [Redact] are overwritten with asterisks. Name is that of the header or
// trailer, else empty. Parts are to be given in the order in which they are sent:
// secrets split over them are put together.
func (s *Scan) Field(kind Kind, name, value string) string {
	if s.stopped() {
		return value
	}
	if name != "" { // a finding there must not repeat the name
		s.desk.text = append(s.desk.text[:0], name...)
		s.part(kind, "", s.desk.text)
	}
	clean := s.redactField(kind, name, value)
	s.join(kind, name, clean) // what leaves, so that a match is not found again
	return clean
}

func (s *Scan) part(kind Kind, name string, text []byte) {
	v := s.view(kind, name, 0, "")
	v.write(text)
	v.finish()
}

// Messages judges a piece of WebSocket data, unmasked and decompressed, before it
// is sent on: what it and all pieces before it hold. Pieces may be fragments. Kind
// is [Message] for text, binary and continuation frames, [Control] for the others.
func (s *Scan) Messages(kind Kind, p []byte) error {
	i := 0
	if kind == Control {
		i = 1
	}
	if s.messages[i] == nil {
		s.messages[i] = s.view(kind, "", 0, "")
	}
	if s.feed(len(p)) {
		s.spans = s.spans[:0]
		s.messages[i].write(p)
		s.messages[i].sync(true)
		if len(s.spans) > 0 {
			s.block(s.findings[len(s.findings)-1]) // the pieces before are gone
		}
	}
	return s.err
}

// Close ends the scan and returns its verdict. Closing again returns it again.
func (s *Scan) Close() Verdict {
	if !s.closed {
		for _, v := range s.messages {
			if v != nil {
				v.finish()
			}
		}
		s.values.close()
		s.keys.close()
		s.closed = true
		s.e.desks.Put(s.desk)
		s.desk = nil
		for _, in := range slices.Clone(s.open) {
			in.drop()
		}
	}
	v := Verdict{Action: Pass, Findings: s.findings}
	switch err := s.err.(type) {
	case *Refusal:
		v.Action, v.Refusal = Refuse, err
	case *BlockedError:
		v.Action = Blocked
	default:
		if slices.ContainsFunc(s.findings, func(f Finding) bool { return f.Mode == Redact }) {
			v.Action = Redacted
		}
	}
	return v
}

func (s *Scan) stopped() bool {
	if s.closed {
		s.refuse(Ended, "it was fed after its end")
	}
	return s.err != nil
}

// feed counts n bytes that come in and reports whether to go on.
func (s *Scan) feed(n int) bool {
	if s.stopped() {
		return false
	}
	s.mark = s.fed
	s.fed += int64(n)
	if s.fed > s.e.limits.Body {
		s.refuse(TooLarge, "the body is longer than the limit; send it in parts")
	}
	return s.err == nil
}

// spend counts work and refuses when there was too much of it.
func (s *Scan) spend(n int) {
	s.work += int64(n)
	if s.work > 64<<20+s.e.limits.Work*s.fed {
		s.refuse(TooMuchWork, "looking through it would take too long")
	}
}

// inflate counts decompressed bytes.
func (s *Scan) inflate(n int) {
	s.inflated += int64(n)
	if s.inflated > 8<<20+s.e.limits.Ratio*s.fed {
		s.refuse(DecodedTooMuch, "it decompresses to far more than was sent; send it uncompressed")
	}
}

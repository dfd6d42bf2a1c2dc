package dlp

import (
	"bytes"
	"io"
	"slices"

	"bottled/dlp/rules"
)

// Redactor is a body on its way out of which what rules in mode [Redact] find is
// overwritten with asterisks, its length and its syntax as they were. Of a body of at
// most Limits.Held bytes, all is there before anything leaves:
//
//   - what stands in a string of JSON, a field of a form, a part of multipart or a text
//     is overwritten;
//   - where it is encoded, so is all of the string, field, part or word around it;
//   - the result is judged again, as if the rules were in mode [Block]. So what could
//     not be overwritten, a secret that is split over values for one, is refused.
//
// A longer body, one in a content encoding, and one that is or may be a conversation
// goes through a [Gate]. Not safe for concurrent use.
type Redactor struct {
	s    *Scan
	r    io.Reader
	opt  BodyOptions
	gate *Gate  // once the body is known to be too long
	out  []byte // what may leave
	err  error
	done bool
}

// Outgoing returns the body r of the request that s judges as it may leave: by a
// [Gate], or by a [Redactor] where that can do more.
func (s *Scan) Outgoing(r io.Reader, o BodyOptions) io.Reader {
	names, framed, err := codings(o.Encoding)
	if !s.e.redacts || err != nil || framed || len(names) > 0 || o.Interactive && !whole(o.Type) {
		return NewGate(s, r, o)
	}
	return &Redactor{s: s, r: r, opt: o}
}

// Read returns bytes of the body that may leave.
func (d *Redactor) Read(p []byte) (int, error) {
	if !d.done {
		d.done = true
		d.fill()
	}
	if d.gate != nil {
		return d.gate.Read(p)
	}
	if d.err != nil {
		return 0, d.err
	}
	if len(d.out) == 0 {
		return 0, io.EOF
	}
	n := copy(p, d.out)
	d.out = d.out[n:]
	return n, nil
}

// fill reads the body, judges it, and overwrites.
func (d *Redactor) fill() {
	body, err := io.ReadAll(io.LimitReader(d.r, int64(d.s.e.limits.Held)+1))
	if err != nil {
		d.err = err
		return
	}
	if len(body) > d.s.e.limits.Held {
		d.gate = NewGate(d.s, io.MultiReader(bytes.NewReader(body), d.r), d.opt)
		return
	}
	d.s.redact(body, d.opt)
	if d.opt.Trailer != nil && d.s.err == nil {
		d.opt.Trailer()
	}
	if d.err = d.s.Err(); d.err == nil {
		d.out = body
	}
}

// redact judges a whole body and overwrites in place what is to be.
func (s *Scan) redact(body []byte, o BodyOptions) {
	judge := func(stage redaction) {
		s.redaction, s.hidden = stage, false
		b := s.Body(o)
		b.Write(body)
		b.Close()
		s.redaction = overwrite
	}
	judge(collect)
	if s.err != nil || len(s.spans) == 0 && !s.hidden {
		return
	}
	if !s.erase(layoutOf(o.Type, body), body) {
		s.block(s.findings[len(s.findings)-1])
		return
	}
	// What was put together holds what is gone now.
	s.redaction = collect
	s.values.rewind()
	s.keys.rewind()
	judge(refuseAll)
}

// redaction is what becomes of matches of rules in mode Redact.
type redaction uint8

const (
	overwrite redaction = iota // those in plain sight are overwritten, others block
	collect                    // those in plain sight are noted, and that there are others
	refuseAll                  // all block
)

// mayCut is how long a match is that an expression may have had no text for the rest
// of: it sees little more than longest bytes, its keyword included.
const mayCut = longest - 64

// mayRedact decides about a match of r at from in v.
func (s *Scan) mayRedact(v *view, r *rule, from int64, length int) bool {
	switch {
	case s.redaction == refuseAll, v.trail, rules.Begins(r.id), length >= mayCut:
		return false
	case v.plain():
		s.spans = append(s.spans, span{from, from + int64(length)})
	case s.redaction == collect:
		s.hidden = true
	default:
		return false
	}
	return true
}

// erase overwrites the spans and, if something is hidden, the fields that hide it. It
// reports false where it cannot.
func (s *Scan) erase(l layout, body []byte) bool {
	spans := slices.Clone(s.spans)
	slices.SortFunc(spans, func(a, b span) int { return int(a.from - b.from) })
	if s.hidden {
		for i := range l.fields {
			f := &l.fields[i]
			if s.hides(body[f.from:f.to]) {
				spans = append(spans, f.span)
			}
		}
	}
	for _, p := range spans {
		i, _ := slices.BinarySearchFunc(l.fields, p.from, func(f field, at int64) int { return int(f.to - at - 1) })
		switch {
		case i < len(l.fields) && l.fields[i].from <= p.from && p.to <= l.fields[i].to:
			var ok bool
			if p, ok = l.fields[i].cover(p, body); !ok {
				return false
			}
		case !l.free:
			return false
		}
		for k := p.from; k < p.to; k++ {
			body[k] = '*'
		}
	}
	return true
}

// cover returns what is to be overwritten of f so that p is.
func (f field) cover(p span, body []byte) (span, bool) {
	part := body[p.from:p.to]
	if f.exact {
		return p, p != f.span && !bytes.ContainsAny(part, f.stops)
	}
	if bytes.ContainsAny(body[f.from:f.to], f.codes) || slices.ContainsFunc(part, func(c byte) bool { return c >= 0x80 }) {
		return f.span, true
	}
	return p, true
}

// leastHidden is how long a text is that can hide a match.
const leastHidden = 16

// hides reports whether text alone holds an encoded match of a rule in mode Redact.
func (s *Scan) hides(text []byte) bool {
	if len(text) < leastHidden {
		return false
	}
	t := s.e.Scan(s.route)
	defer t.Close()
	t.redaction = collect
	v := t.view(Body, "", 0, "")
	v.write(text)
	v.finish()
	s.spend(int(t.work))
	return t.hidden
}

// redactField judges a part, the value of a header or trailer with its name, and returns
// the value with what is to be overwritten overwritten.
func (s *Scan) redactField(kind Kind, name, value string) string {
	text := s.desk.text[:0]
	if name != "" {
		text = append(append(text, name...), ": "...)
	}
	skip := len(text)
	text = append(text, value...)
	s.desk.text = text

	s.spans, s.hidden = s.spans[:0], false
	if s.e.redacts && name != "" {
		s.redaction = collect
	}
	s.part(kind, name, text)
	s.redaction = overwrite
	if s.err != nil || len(s.spans) == 0 && !s.hidden {
		return value
	}
	clean := bytes.Clone(text)
	l := layout{free: true}
	l.words(clean[skip:], int64(skip))
	if !s.erase(l, clean) || !bytes.Equal(clean[:skip], text[:skip]) { // a header cannot be renamed
		s.block(s.findings[len(s.findings)-1])
		return value
	}
	if s.hidden {
		s.redaction = refuseAll
		s.part(kind, name, clean)
		s.redaction = overwrite
	}
	return string(clean[skip:])
}

// Close gives the rest of the body up.
func (d *Redactor) Close() error {
	d.out, d.done = nil, true
	if d.gate != nil {
		return d.gate.Close()
	}
	if d.err == nil {
		d.err = io.ErrClosedPipe
	}
	if c, ok := d.r.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

package dlp

import (
	"strings"

	"bottled/dlp/decode"
)

// edge is how many bytes of a value's beginning and end are joined to its
// neighbours: a secret cut in two has its halves there.
const edge = 256

// joiner puts values together that stand apart in a request, so that a secret
// split over them stands in one piece. Of a long text only the first and the last
// word can be part of one.
type joiner struct {
	s     *Scan
	view  *view
	dirty bool
	kept  []byte // what was joined before the body, if that may be judged again
}

// piece is a value on its way to a joiner.
type piece struct {
	head  []byte // its first word, at most edge bytes
	tail  []byte // its last word, if that is not the first
	ended bool   // the first word is over
	long  bool   // and was longer than head
}

func (p *piece) reset() { *p = piece{head: p.head[:0], tail: p.tail[:0]} }

// more reports whether the piece is more than its head.
func (p *piece) more() bool { return p.ended || p.long }

func (p *piece) write(b []byte) {
	if !p.more() {
		n := 0
		for n < len(b) && wordByte[b[n]] {
			n++
		}
		take := min(n, edge-len(p.head))
		p.ended, p.long = n < len(b), take < n
		if p.more() {
			p.tail = append(p.tail[:0], p.head...)
		}
		p.head = append(p.head, b[:take]...)
		if !p.more() {
			return
		}
	}
	n := 0
	for n < len(b) && n < edge && wordByte[b[len(b)-1-n]] {
		n++
	}
	if n < len(b) {
		p.tail = append(p.tail[:0], b[len(b)-n:]...)
		return
	}
	p.tail = append(p.tail, b...)
	if over := len(p.tail) - edge; over > 0 {
		p.tail = p.tail[:copy(p.tail, p.tail[over:])]
	}
}

var wordByte = func() (t [256]bool) {
	for i := range 256 {
		c := byte(i)
		t[i] = decode.Token(c) || c >= 0x80 || c == '%' || c == '\\' || c == '&' || c == ';' || c == '#' || c == 0
	}
	return
}()

// take joins p to what was joined before.
func (j *joiner) take(p *piece) {
	if len(p.head) == 0 && len(p.tail) == 0 || j.s.err != nil {
		return
	}
	if !p.more() {
		j.write(p.head)
		return
	}
	n := len(p.head)
	both := append(append(p.head, '\n'), p.tail...)
	j.write(both)
	p.head = both[:n]
}

func (j *joiner) write(b []byte) {
	if j.view == nil {
		j.view = j.s.view(Joined, "", 0, "")
		j.view.joined = true
	}
	if j.s.e.redacts && j.s.fed == 0 {
		j.kept = append(j.kept, b...)
	}
	j.view.write(b)
	j.dirty = true
}

// rewind forgets what was joined since the body began.
func (j *joiner) rewind() {
	j.close()
	if len(j.kept) > 0 {
		j.write(j.kept)
	}
}

// value joins a value of the body, whose key came before it.
func (s *Scan) value(p *piece) {
	s.values.take(p)
	if s.trail != nil {
		s.follow(Body, string(s.key[:min(len(s.key), slotName)]), p)
	}
}

// named joins a key of the body.
func (s *Scan) named(p *piece) {
	s.keys.take(p)
	if s.trail != nil {
		s.key = append(s.key[:0], p.head...)
	}
}

// join hands the values of a part on, piece by piece.
func (s *Scan) join(kind Kind, name, value string) {
	cut := ""
	switch {
	case kind == Path:
		cut = "/"
	case kind == Query:
		cut = "&;"
	case strings.EqualFold(name, "cookie"):
		cut = ";"
	}
	p := &s.desk.spare
	n := 0
	for rest := value; rest != ""; {
		text := rest
		if i := strings.IndexAny(rest, cut); i >= 0 {
			text, rest = rest[:i], rest[i+1:]
		} else {
			rest = ""
		}
		if text == "" {
			continue
		}
		at := name
		if cut == "&;" || cut == ";" {
			if key, v, ok := strings.Cut(text, "="); ok {
				text = v
				if s.trail != nil {
					at = name + " " + strings.TrimSpace(key)
				}
			}
		} else if cut == "/" && s.trail != nil {
			at = pathSlot(n)
		}
		n++
		s.desk.text = append(s.desk.text[:0], strings.TrimSpace(text)...)
		p.reset()
		p.write(s.desk.text)
		s.values.take(p)
		if kind != Authority {
			s.follow(kind, at, p)
		}
	}
	if kind == Authority && s.trail != nil { // of a wildcard, a label is what can be chosen
		for label := range strings.SplitSeq(value, ".") {
			p.reset()
			p.write([]byte(label))
			s.follow(kind, pathSlot(n), p)
			n++
		}
	}
}

// judge looks at all that was joined.
func (j *joiner) judge() {
	if j.dirty && j.view != nil {
		j.dirty = false
		j.view.sync(true)
	}
}

func (j *joiner) close() {
	if j.view != nil {
		j.view.finish()
		j.view = nil
	}
}

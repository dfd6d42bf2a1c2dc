package dlp

import "bytes"

// splitter finds the values in a body of some syntax and hands them to the scan's
// joiners. It does not validate: what a parser would refuse is split as well as can
// be.
type splitter interface {
	write(p []byte)
	close()
}

// splitterFor returns nil where a body has no values.
func splitterFor(s *Scan, contentType string, first []byte) splitter {
	switch kind, boundary := grammarOf(contentType, first); kind {
	case multipartGrammar:
		return &multipartValues{s: s, boundary: boundary}
	case formGrammar:
		return &formValues{s: s}
	case jsonGrammar:
		j, _ := s.e.jsons.Get().(*jsonValues)
		if j == nil {
			j = new(jsonValues)
		}
		j.s = s
		return j
	}
	return nil
}

// jsonValues splits JSON, NDJSON and what looks like it: values are joined with
// values, keys with keys.
type jsonValues struct {
	s       *Scan
	cur     piece
	in      bool // in a string
	escaped bool // its last byte was a backslash that takes the next
	after   bool // the string is over, what it was is not known yet
}

func (j *jsonValues) write(p []byte) {
	for len(p) > 0 {
		switch {
		case j.after:
			i := 0
			for i < len(p) && (p[i] == ' ' || p[i] == '\n' || p[i] == '\r' || p[i] == '\t') {
				i++
			}
			if i == len(p) {
				return
			}
			p = p[i:]
			j.give(p[0] == ':')
		case !j.in:
			i := bytes.IndexByte(p, '"')
			if i < 0 {
				return
			}
			p = p[i+1:]
			j.in = true
			j.cur.reset()
		default:
			n, over := j.rest(p)
			j.cur.write(p[:n])
			if p = p[n:]; over {
				p = p[1:]
				j.in, j.after = false, true
			}
		}
	}
}

// rest returns how much of p belongs to the string, and whether it ends there.
func (j *jsonValues) rest(p []byte) (int, bool) {
	i := 0
	if j.escaped && len(p) > 0 {
		i, j.escaped = 1, false
	}
	first := i
	for {
		n := bytes.IndexByte(p[i:], '"')
		end := i + n
		if n < 0 {
			end = len(p)
		}
		odd := false
		for k := end; k > first && p[k-1] == '\\'; k-- {
			odd = !odd
		}
		if n < 0 {
			j.escaped = odd
			return len(p), false
		}
		if !odd {
			return end, true
		}
		i = end + 1
	}
}

func (j *jsonValues) give(key bool) {
	j.after = false
	if key {
		j.s.named(&j.cur)
	} else {
		j.s.value(&j.cur)
	}
}

func (j *jsonValues) close() {
	if j.in || j.after {
		j.give(false)
	}
	e := j.s.e
	j.cur.reset()
	*j = jsonValues{cur: j.cur}
	e.jsons.Put(j)
}

// formValues splits application/x-www-form-urlencoded.
type formValues struct {
	s     *Scan
	cur   piece
	value bool
}

func (f *formValues) write(p []byte) {
	for {
		i := bytes.IndexAny(p, "&;=")
		if i < 0 {
			f.cur.write(p)
			return
		}
		if f.value && p[i] == '=' {
			f.cur.write(p[:i+1])
		} else {
			f.cur.write(p[:i])
			f.give()
			f.value = p[i] == '='
		}
		p = p[i+1:]
	}
}

func (f *formValues) give() {
	if f.value {
		f.s.value(&f.cur)
	} else {
		f.s.named(&f.cur)
	}
	f.cur.reset()
}

func (f *formValues) close() { f.give() }

// multipartValues splits multipart bodies (RFC 2046, section 5.1). Nested ones are
// split by whatever line starts with "--" and ends a part's headers.
type multipartValues struct {
	s        *Scan
	boundary string // "": taken from the first line
	cur      piece
	line     []byte // of the line in hand, as much as can tell a boundary
	headers  bool
	started  bool // the line in hand has been given to the part in part
	broken   bool // the line before ended, which is not yet part of the part
}

func (m *multipartValues) write(p []byte) {
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			m.text(p)
			return
		}
		m.text(p[:i])
		m.end()
		p = p[i+1:]
	}
}

const boundaryMost = 80 // 70 and the hyphens around them

// text takes a piece of a line.
func (m *multipartValues) text(p []byte) {
	if m.started {
		m.cur.write(p)
		return
	}
	m.line = append(m.line, p...)
	if len(m.line) > boundaryMost {
		m.flush()
	}
}

// flush gives the line in hand to the part: it is no boundary.
func (m *multipartValues) flush() {
	if !m.headers {
		if m.broken {
			m.cur.write([]byte{'\n'})
		}
		m.cur.write(bytes.TrimSuffix(m.line, []byte{'\r'}))
		m.broken, m.started = false, true
	}
	m.line = m.line[:0]
}

// end takes the end of a line.
func (m *multipartValues) end() {
	line := bytes.TrimSuffix(m.line, []byte{'\r'})
	mark := bytes.HasPrefix(line, []byte("--"))
	if mark && m.boundary == "" && len(line) > 2 {
		m.boundary = string(line[2:])
	}
	switch {
	case !m.started && mark && m.boundary != "" && bytes.HasPrefix(line[2:], []byte(m.boundary)):
		m.s.value(&m.cur)
		m.cur.reset()
		m.headers, m.broken = !bytes.HasSuffix(line, []byte("--")), false // else the epilogue
	case m.headers:
		m.headers = len(line) > 0
	default:
		if !m.started {
			m.flush()
		}
		m.broken = true
	}
	m.line, m.started = m.line[:0], false
}

func (m *multipartValues) close() {
	m.end()
	m.s.value(&m.cur)
}

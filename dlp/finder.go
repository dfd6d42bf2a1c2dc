package dlp

import "bottled/dlp/decode"

// finder looks for text in one alphabet and opens views of what it decodes to, one
// for each phase.
type finder struct {
	alphabet *decode.Alphabet
	least    int   // characters in a row that are worth decoding
	at       int64 // how far the view has been looked through
	open     bool  // in a run
	piece    int   // characters of the run since its last gap
	phases   []phase
}

type phase struct {
	radix decode.Radix
	view  *view
}

// finders is what every view starts with. The shortest token a rule knows has some
// twenty characters; a shorter secret of the bottle is found without decoding.
var finders = [4]finder{
	{alphabet: decode.Base64, least: 20},
	{alphabet: decode.Hex, least: narrowLeast},
	{alphabet: decode.Base32, least: narrowLeast},
	{alphabet: decode.Lower, least: narrowLeast},
}

const (
	narrowLeast = 32

	gapMost   = 8   // bytes between two pieces of a run
	pieceLess = 16  // characters that must stand on one side of a gap
	runShort  = 256 // characters of a run that are first looked at in one go
)

// run looks through the buffer from where it stopped.
func (v *view) run(f *finder, at stage) {
	b, i := v.buf, int(f.at-v.base)
	for v.s.err == nil {
		if !f.open {
			start, ok := f.alphabet.Run(b, i, f.least)
			if i = start; !ok {
				break
			}
			j := f.alphabet.Span(b[i:min(i+runShort+1, len(b))])
			if j <= runShort {
				ahead, wait := v.ahead(f, i, j, at)
				if wait {
					break
				}
				if !v.promising(f, ahead) {
					i += j
					continue
				}
			}
			f.begin(v, v.base+int64(i))
		}
		n := f.alphabet.Span(b[i:])
		v.feed(f, b[i:i+n])
		f.piece += n
		if i += n; i == len(b) && at != final {
			break
		}
		next, ok, wait := f.gap(b, i, at)
		if wait {
			break
		}
		if !ok {
			f.close()
			continue
		}
		i, f.piece = next, 0
	}
	f.at = v.base + int64(i)
}

// find runs all finders. The alphabets but base64 are looked for together, as long as
// there is nothing of any.
func (v *view) find(at stage) {
	v.run(&v.finders[0], at)
	narrow := v.finders[1:]
	from, open := v.end(), false
	for i := range narrow {
		from = min(from, narrow[i].at)
		open = open || narrow[i].open
	}
	i, some := decode.NarrowRun(v.buf, int(from-v.base), narrowLeast)
	for k := range narrow {
		if f := &narrow[k]; some || open {
			v.run(f, at)
		} else {
			f.at = max(f.at, v.base+int64(i))
		}
	}
}

// gap says where the run goes on after something else at b[i:], a line break or any
// other delimiter: if a long piece stands before it or behind it. It asks to wait if
// that is not to be seen yet.
func (f *finder) gap(b []byte, i int, at stage) (next int, ok, wait bool) {
	j := i
	for j < len(b) && j-i < gapMost && !f.alphabet.Has(b[j]) {
		if b[j] == '\\' && j+1 < len(b) && (b[j+1] == 'n' || b[j+1] == 'r' || b[j+1] == 't') {
			j++
		}
		j++
	}
	if j+pieceLess > len(b) && at != final {
		return i, false, true
	}
	n := f.alphabet.Span(b[j:min(j+pieceLess, len(b))])
	return j, n == pieceLess || n > 0 && f.piece >= pieceLess, false
}

// ahead collects the run that begins with j characters at b[i:], beyond its gaps,
// as far as a token that begins in it can reach. It asks to wait if that is not
// there yet.
func (v *view) ahead(f *finder, i, j int, at stage) (run []byte, wait bool) {
	b := v.buf
	v.scratch = append(v.scratch[:0], b[i:i+j]...)
	for f.piece = j; len(v.scratch) <= runShort; {
		if i += j; i == len(b) {
			return v.scratch, at == more
		}
		next, ok, wait := f.gap(b, i, at)
		if wait || !ok {
			return v.scratch, wait && at == more
		}
		i, j = next, f.alphabet.Span(b[next:min(next+runShort, len(b))])
		f.piece = j
		v.scratch = append(v.scratch, b[i:i+j]...)
	}
	return v.scratch, false
}

// promising reports whether a short run decodes to anything worth a view: enough
// text for a token, or the signature of compressed data. Most long names and paths
// do not.
func (v *view) promising(f *finder, run []byte) bool {
	v.s.spend(len(run) * f.alphabet.Phases)
	if f.alphabet == decode.Base64 {
		return decode.Base64Text(run)
	}
	for p := range f.alphabet.Phases {
		r := decode.NewRadix(f.alphabet, p)
		if decode.Text(r.Append(nil, run)) {
			return true
		}
	}
	return false
}

func (f *finder) begin(v *view, at int64) {
	f.open, f.piece = true, 0
	for p := range f.alphabet.Phases {
		f.phases = append(f.phases, phase{radix: decode.NewRadix(f.alphabet, p), view: v.child(f.alphabet.Name, at)})
	}
}

// feed decodes a piece of the run into the views of all phases.
func (v *view) feed(f *finder, p []byte) {
	const step = 4 << 10
	for i := 0; i < len(p) && v.s.err == nil; i += step {
		part := p[i:min(i+step, len(p))]
		v.s.spend(len(part) * f.alphabet.Phases)
		v.wide = v.wide[:0]
		if f.alphabet == decode.Base64 {
			v.wide, part = decode.Words(v.wide, part)
		}
		for k := range f.phases {
			ph := &f.phases[k]
			v.scratch = ph.radix.AppendWords(v.scratch[:0], v.wide)
			v.scratch = ph.radix.Append(v.scratch, part)
			ph.view.write(v.scratch)
		}
	}
}

func (f *finder) close() {
	f.open = false
	for i := range f.phases {
		f.phases[i].view.finish()
	}
	clear(f.phases) // a pooled view holds on to nothing
	f.phases = f.phases[:0]
}

// end closes f and makes it ready for another view.
func (f *finder) end() {
	f.close()
	f.at, f.piece = 0, 0
}

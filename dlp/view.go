package dlp

import (
	"bytes"

	"bottled/dlp/automaton"
)

// view is a window over one stream of bytes: a part of the request, or what an
// encoding in another view says. It is fed with write and ended with finish, which
// gives it back to the engine.
type view struct {
	s      *Scan
	kind   Kind
	name   string
	via    string
	depth  int
	origin int64 // of the encoded text, in the part
	joined bool  // of values that did not stand side by side
	leaf   bool  // nothing is decoded
	trail  bool  // of values of several requests
	seam   int   // where, in such a view, those of this one begin; 0: in an encoding

	buf    []byte // bytes base … base+len(buf) of the stream
	base   int64
	done   int  // bytes of buf that the automaton has seen
	goesOn bool // more may come

	words     automaton.Cursor
	wordHit   func(int32, int)
	boneHit   func(int32, int)
	foldHit   func(int)
	hits      []window
	finders   [4]finder
	fold      folder
	streams   []*stream
	numbersAt int64
	scratch   []byte
	wide      []uint64
}

// window is text to run a rule's expression over.
type window struct {
	rule   int
	lo, hi int64
}

// block is how many bytes a view collects before it looks at them, by depth; behind
// them are kept as many as an expression may look back.
var blocks = [...]int{32 << 10, 16 << 10, 8 << 10, 4 << 10}

const lookBack = longest + 256

// maxHits bounds the windows that wait for their text.
const maxHits = 1024

func (s *Scan) view(kind Kind, name string, depth int, via string) *view {
	v, _ := s.e.views.Get().(*view)
	if v == nil {
		v = new(view)
		v.wordHit, v.boneHit, v.foldHit = v.word, v.bone, v.escape
		v.finders = finders
	}
	v.s, v.kind, v.name, v.depth, v.via = s, kind, name, depth, via
	v.leaf = depth >= s.e.limits.Depth
	return v
}

// child is a view of what an encoding at offset at says.
func (v *view) child(encoding string, at int64) *view {
	via := encoding
	if v.via != "" {
		via = v.via + ">" + encoding
	}
	c := v.s.view(v.kind, v.name, v.depth+1, via)
	c.origin, c.joined, c.trail = v.origin, v.joined, v.trail
	if v.plain() {
		c.origin = at
	}
	return c
}

// plain reports whether offsets in v are offsets in the part.
func (v *view) plain() bool { return v.via == "" && !v.joined }

func (v *view) block() int { return blocks[min(v.depth, len(blocks)-1)] }

func (v *view) write(p []byte) {
	if len(v.buf)-v.done+len(p) < v.block() && v.s.err == nil {
		v.buf = append(v.buf, p...)
		return
	}
	for len(p) > 0 && v.s.err == nil {
		n := min(len(p), max(1, v.block()-(len(v.buf)-v.done)))
		v.buf = append(v.buf, p[:n]...)
		p = p[n:]
		if len(v.buf)-v.done >= v.block() {
			v.process(more)
		}
	}
}

// stage says how final the end of a view's buffer is.
type stage uint8

const (
	more  stage = iota // the stream goes on
	pause              // it goes on, but what is there must be judged now
	final              // it ends here
)

// sync looks at everything there is, through all encodings. If judge is set,
// expressions run even where text may follow.
func (v *view) sync(judge bool) {
	if v.s.err != nil {
		return
	}
	at := more
	if judge {
		at = pause
	}
	v.process(at)
	v.children(func(c *view) { c.sync(judge) })
}

// finish looks at the rest and releases the view, which must not be used again.
func (v *view) finish() {
	if v.s.err == nil {
		v.process(final)
	}
	for i := range v.finders {
		v.finders[i].end()
	}
	v.fold.close()
	for len(v.streams) > 0 {
		v.streams[0].end()
	}
	e := v.s.e
	v.words.Reset()
	*v = view{buf: v.buf[:0], words: v.words, hits: v.hits[:0], finders: v.finders, streams: v.streams[:0],
		scratch: v.scratch, wide: v.wide, wordHit: v.wordHit, boneHit: v.boneHit, foldHit: v.foldHit,
		fold: folder{places: v.fold.places[:0]}}
	e.views.Put(v)
}

// children calls f for every view below v that goes on.
func (v *view) children(f func(*view)) {
	for i := range v.finders {
		for _, p := range v.finders[i].phases {
			f(p.view)
		}
	}
	if v.fold.view != nil {
		f(v.fold.view)
	}
	for _, in := range v.streams {
		if in.view != nil {
			f(in.view)
		}
	}
}

// end is the offset of the end of the buffer.
func (v *view) end() int64 { return v.base + int64(len(v.buf)) }

// process looks at what came in since the last time.
func (v *view) process(at stage) {
	fresh := v.buf[v.done:]
	v.goesOn = at != final
	v.s.spend(len(fresh) * 2)
	v.s.e.words.Scan(&v.words, fresh, v.wordHit, v.boneHit, v.foldHit)
	v.done = len(v.buf)
	if v.s.e.generic && !v.joined && v.depth <= 1 {
		v.numbers(at)
	}
	v.match(at)
	if !v.leaf && v.s.err == nil {
		v.find(at)
		v.unfold(at)
		v.pump()
	}
	v.trim()
}

// trim drops what nobody will look at again.
func (v *view) trim() {
	keep := v.end() - lookBack
	if v.s.e.generic && !v.joined && v.depth <= 1 {
		keep = min(keep, v.numbersAt)
	}
	for _, w := range v.hits {
		keep = min(keep, w.lo)
	}
	if !v.leaf {
		for i := range v.finders {
			keep = min(keep, v.finders[i].at)
		}
		keep = min(keep, v.fold.needs())
		for _, in := range v.streams {
			keep = min(keep, in.at)
		}
	}
	n := int(keep - v.base)
	if n < len(v.buf)/2 || n <= 0 {
		return
	}
	v.buf = v.buf[:copy(v.buf, v.buf[n:])]
	v.base += int64(n)
	v.done = len(v.buf)
}

// word is called for every literal that ends end bytes into what came in.
func (v *view) word(lit int32, end int) {
	l := &v.s.e.literals[lit]
	at := v.done + end
	for i := range l.keywords {
		k := &l.keywords[i]
		r := v.s.e.rules[k.rule]
		if v.joined && (r.assigns || r.joined == nil) {
			continue
		}
		if r.may(k, v.buf, at, v.goesOn) {
			v.look(k, r, v.base+int64(at))
		}
	}
	start := at - len(l.text)
	if start < 0 || l.keywords != nil || string(v.buf[start:at]) != l.text {
		return
	}
	if l.exact > 0 {
		v.s.found(v, v.s.e.rules[l.exact-1], v.buf[start:at], v.base+int64(start), false)
	}
	if l.magic != 0 && !v.leaf {
		v.inflate(l, v.base+int64(start))
	}
}

// bone is called for every skeleton of a secret.
func (v *view) bone(i int32, end int) {
	at := v.done + end
	start := at
	for n := len(v.s.e.bones[i]); start > 0 && n > 0; {
		start--
		if !punctuation(v.buf[start]) {
			n--
		}
	}
	v.s.found(v, v.s.e.rules[v.s.e.owner[i]], bytes.Clone(v.buf[start:at]), v.base+int64(start), false)
}

// look notes that r's expression is to be run around a keyword that ends at end,
// together with what was noted before if they touch.
func (v *view) look(k *keyword, r *rule, end int64) {
	w := window{rule: k.rule, lo: end - int64(k.length), hi: end + int64(r.shape.longest) + 8}
	switch {
	case r.assigns:
		w.lo -= 64
	case k.offset >= 0:
		w.lo -= int64(k.offset) + 2
		w.hi = w.lo + int64(r.shape.longest) + 16
	default:
		w.lo -= int64(r.shape.longest)
	}
	w.lo = max(w.lo, v.base)
	for i := range v.hits {
		if h := &v.hits[i]; h.rule == w.rule && w.lo <= h.hi && w.hi-h.lo <= 4*longest {
			h.hi = max(h.hi, w.hi)
			return
		}
	}
	v.hits = append(v.hits, w)
	if len(v.hits) > maxHits {
		if v.match(pause); len(v.hits) > maxHits/2 {
			v.s.refuse(TooMuchWork, "it looks like a secret at too many places")
		}
	}
}

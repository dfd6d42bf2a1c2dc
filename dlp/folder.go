package dlp

import (
	"math"

	"bottled/dlp/decode"
)

// foldAround is how much text on either side of an escape is undone with it.
const foldAround = 256

// folder undoes escapes and look-alikes where they hide something, and leaves the
// rest of the text alone.
type folder struct {
	places []int64 // of what may be an escape that hides something
	view   *view   // of the stretch in hand
	seen   int64   // escapes before it are known
	at     int64   // how far the stretch is undone
	end    int64   // where it ends unless another escape comes before or soon after
	last   int64   // end of the stretch before
}

// escape is called for every pair of bytes that may begin an escape, end bytes into what
// came in. Most can be told to be none at once.
func (v *view) escape(end int) {
	if at := v.done + end - 2; !v.leaf && (len(v.buf)-at <= decode.Longest || decode.Hides(v.buf, at)) {
		v.fold.places = append(v.fold.places, v.base+int64(at))
	}
}

// hidden returns the offset of the first escape or look-alike from f.seen on that hides
// something, or the end. A place before sure that hides nothing now never will.
func (v *view) hidden(sure int64) int64 {
	f := &v.fold
	next := v.end()
	for i := 0; i < len(f.places); {
		at := f.places[i]
		if at >= f.seen && decode.Hides(v.buf, int(at-v.base)) {
			next = at
			break
		}
		if at < max(f.seen, sure) {
			f.places = f.places[1:]
		} else {
			i++
		}
	}
	return v.base + int64(decode.NextLetter(v.buf, int(max(f.seen, v.base)-v.base), int(next-v.base)))
}

// unfold looks through the buffer from where it stopped. The last bytes are looked
// at again when more have come: an escape may have been cut.
func (v *view) unfold(at stage) {
	f := &v.fold
	all := f.places[:0]
	defer func() { f.places = append(all, f.places...) }()
	sure := v.end()
	if at != final {
		sure = max(v.base, sure-decode.Longest)
	}
	for v.s.err == nil {
		next := v.hidden(sure)
		hidden := next < v.end()
		if !hidden {
			f.seen = max(f.seen, min(next, sure))
		}
		if f.view == nil {
			if !hidden {
				return
			}
			f.at = max(f.last, v.base, next-foldAround)
			f.end = next
			f.view = v.child("escapes", f.at)
		}
		if hidden && next <= f.end+foldAround { // two stretches that touch are one
			f.end, f.seen = next+foldAround, next+1
			continue
		}
		over := min(f.end, v.end())
		closing := sure >= f.end+foldAround || hidden || at == final
		text := v.buf[f.at-v.base : over-v.base]
		var n int
		v.s.spend(len(text) * 2)
		v.scratch, n = decode.Fold(v.scratch[:0], text, closing)
		f.view.write(v.scratch)
		f.at += int64(n)
		if !closing {
			return
		}
		f.close()
	}
}

// needs is the first offset that is looked at again.
func (f *folder) needs() int64 {
	if f.view == nil {
		return math.MaxInt64
	}
	return f.at
}

func (f *folder) close() {
	f.last, f.end = f.at, -1
	if c := f.view; c != nil {
		f.view = nil
		c.finish()
	}
}

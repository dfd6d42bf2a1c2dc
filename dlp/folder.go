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
	view *view // of the stretch in hand
	seen int64 // escapes before it are known
	at   int64 // how far the stretch is undone
	end  int64 // where it ends unless another escape comes before or soon after
	last int64 // end of the stretch before
}

// unfold looks through the buffer from where it stopped. The last bytes are looked
// at again when more have come: an escape may have been cut.
func (v *view) unfold(at stage) {
	f := &v.fold
	sure := v.end()
	if at != final {
		sure = max(v.base, sure-decode.Longest)
	}
	for v.s.err == nil {
		next := v.base + int64(decode.NextFold(v.buf, int(max(f.seen, v.base)-v.base)))
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

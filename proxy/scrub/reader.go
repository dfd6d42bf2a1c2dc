package scrub

import "io"

// room is how many bytes a Read should have place for beside what is held back.
const room = 512

// Reader masks a stream as it is read. A Read returns as soon as some bytes are
// known to be clean; at the end of the stream (or its error) the rest is given
// out before the error. It is not safe for concurrent use.
type Reader struct {
	src  io.Reader
	mask Mask
	out  []byte // clean, and not given out yet
	own  []byte // where out is when the caller's memory is too small
	err  error
}

// NewReader returns a reader of src without the secrets of sets.
func NewReader(sets Sets, src io.Reader) *Reader {
	return &Reader{src: src, mask: Mask{sets: sets, loose: true}}
}

// Found is how many matches were masked so far.
func (r *Reader) Found() int { return r.mask.found }

func (r *Reader) Read(p []byte) (int, error) {
	for len(r.out) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.fill(p)
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}

// fill reads, into p where it is large enough.
func (r *Reader) fill(p []byte) {
	held := len(r.mask.tail)
	if len(p) < held+room {
		if len(r.own) < held+room {
			r.own = make([]byte, held+room)
		}
		p = r.own
	}
	copy(p, r.mask.tail)
	n, err := r.src.Read(p[held:])
	r.err = err
	r.out = r.mask.pass(p[:held+n], err != nil)
}

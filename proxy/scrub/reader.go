package scrub

import "io"

const readerBuffer = 32 << 10 // bytes

// Reader masks a stream as it is read. A Read returns as soon as some bytes are
// known to be clean; at the end of the stream (or its error) the rest is given
// out before the error. It is not safe for concurrent use.
type Reader struct {
	src   io.Reader
	mask  mask
	buf   []byte
	clean int // buf[off:clean] may be given out
	off   int
	end   int // buf[clean:end] may begin a match
	err   error
}

// Reader returns a reader of src without the secrets of s.
func (s *Set) Reader(src io.Reader) *Reader {
	r := &Reader{src: src}
	if s != nil {
		r.mask.machine = s.machine
	}
	return r
}

// Found is how many matches were masked so far.
func (r *Reader) Found() int { return r.mask.found }

func (r *Reader) Read(p []byte) (int, error) {
	if r.mask.machine == nil {
		return r.src.Read(p)
	}
	for r.off == r.clean {
		if r.err != nil {
			return 0, r.err
		}
		r.fill()
	}
	n := copy(p, r.buf[r.off:r.clean])
	r.off += n
	return n, nil
}

func (r *Reader) fill() {
	held := copy(r.buf, r.buf[r.clean:r.end])
	if held == len(r.buf) { // a secret longer than the buffer
		r.buf = append(r.buf, make([]byte, readerBuffer)...)
	}
	n, err := r.src.Read(r.buf[held:])
	r.mask.run(r.buf[:held+n], held)
	r.off, r.end, r.err = 0, held+n, err
	r.clean = r.end - r.mask.held()
	if err != nil {
		r.clean = r.end
	}
}

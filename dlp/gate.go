package dlp

import (
	"errors"
	"io"
)

// Gate is a body on its way out. It reads the body, has it judged, and releases
// bytes only when they are decided upon:
//
//   - while the body goes on, the last Limits.Hold bytes are kept back, and whatever
//     a decompressor has not said its all about; a body that is shorter is judged
//     whole before its first byte leaves;
//   - the last byte is released after the verdict, trailers included.
//
// When the scan stops the request, Read returns Scan.Err and nothing more leaves:
// the caller must then break the request off, so that the upstream sees it
// incomplete. Not safe for concurrent use.
type Gate struct {
	s     *Scan
	r     io.Reader
	opt   BodyOptions
	body  *BodyScan
	buf   *[]byte // of the engine's, until all has left
	held  []byte  // a part of buf
	from  int64   // offset of held[0] in the body
	total int64   // offset of the end of held
	free  int64   // bytes before it may leave
	start int64   // Scan.fed when the body began
	err   error
	ended bool
}

// NewGate returns a gate for the body r of the request that s judges. Closing the
// gate closes r if it can be closed; the scan is closed by the caller.
func NewGate(s *Scan, r io.Reader, o BodyOptions) *Gate {
	return &Gate{s: s, r: r, opt: o, body: s.Body(o), start: s.fed}
}

// Read returns bytes of the body that may leave.
func (g *Gate) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if g.err != nil {
			return 0, g.err
		}
		if n := int(min(g.free-g.from, int64(len(p)))); n > 0 {
			copy(p, g.held[:n])
			g.held = g.held[n:]
			g.from += int64(n)
			return n, nil
		}
		if g.ended {
			g.release()
			return 0, io.EOF
		}
		g.fill()
	}
}

// A gate reads at most gateRead bytes at a time, into a buffer that starts with
// gateStart and grows; one of at most gateKeep is used again.
const (
	gateRead  = 32 << 10
	gateStart = 4 << 10
	gateKeep  = 256 << 10
)

// fill reads on and judges.
func (g *Gate) fill() {
	kept := len(g.held)
	if cap(g.held) == kept {
		g.room()
	}
	n, err := g.r.Read(g.held[kept:min(kept+gateRead, cap(g.held))])
	g.held = g.held[:kept+n]
	g.total += int64(n)
	g.body.Write(g.held[kept:])
	if err != nil && !errors.Is(err, io.EOF) {
		g.err = err
		return
	}
	if err != nil {
		g.last()
	} else {
		g.body.sync(g.opt.Interactive)
	}
	g.overwrite()
	if g.err = g.s.Err(); g.err != nil {
		g.ended = true
		g.release()
		return
	}
	if g.ended {
		g.free = g.total
		return
	}
	hold := int64(g.s.e.limits.Hold)
	if g.opt.Interactive {
		hold = 0
	}
	g.free = max(g.free, min(g.total-hold, g.s.decided()-g.start))
	if g.total-g.free > int64(g.s.e.limits.Held) {
		g.s.refuse(Undecidable, "its compressed data says nothing for too long")
		g.err = g.s.err
	}
}

// room makes room behind what is held: at the front of the buffer if that is mostly
// free, else in a larger one.
func (g *Gate) room() {
	kept := len(g.held)
	if g.buf == nil {
		if g.buf, _ = g.s.e.held.Get().(*[]byte); g.buf == nil {
			g.buf = new([]byte)
		}
	}
	if kept > len(*g.buf)/2 || len(*g.buf) == 0 {
		*g.buf = make([]byte, max(gateStart, 4*kept))
	}
	g.held = (*g.buf)[:copy(*g.buf, g.held)]
}

// release gives the buffer back: nothing more leaves.
func (g *Gate) release() {
	if g.buf != nil && len(*g.buf) <= gateKeep {
		g.s.e.held.Put(g.buf)
	}
	g.buf, g.held = nil, nil
}

// last judges the end.
func (g *Gate) last() {
	g.ended = true
	g.body.Close()
	g.overwrite()
	if g.opt.Trailer != nil {
		g.opt.Trailer()
	}
}

// overwrite applies what rules in mode Redact have found.
func (g *Gate) overwrite() {
	for _, p := range g.s.spans {
		if p.from < g.from || p.to > g.total {
			g.s.block(g.s.findings[len(g.s.findings)-1]) // a part of it has left
			break
		}
		for i := p.from; i < p.to; i++ {
			g.held[i-g.from] = '*'
		}
	}
	g.s.spans = g.s.spans[:0]
}

// Close gives the rest of the body up.
func (g *Gate) Close() error {
	g.body.Close()
	g.ended = true
	g.release()
	if g.err == nil {
		g.err = io.ErrClosedPipe
	}
	if c, ok := g.r.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

package frame

import (
	"bufio"
	"io"

	"bottled/proxy/scrub"
)

// Relay says how to carry frames in one direction. Its zero value carries
// unmasked frames of servers without extensions.
type Relay struct {
	// FromClient: frames must be masked; otherwise they must not be.
	FromClient bool
	// Compressed: permessage-deflate was negotiated, so RSV1 may be set on the
	// first frame of a message (RFC 7692).
	Compressed bool
	// MaxFrame bounds the payload of one frame in bytes; 0 means no bound.
	MaxFrame uint64
	// Inspect sees each piece of payload, unmasked, before it is forwarded. last
	// is the end of a message or control frame. An error stops the relay with
	// close code 1008; the piece does not leave.
	Inspect func(op Opcode, last bool, p []byte) error
	// Secrets are masked in unmasked payloads, the reason of a close among them. Bytes
	// that may begin a match are held back until the next piece, or the end of the
	// message, and remembered in the next one. Nil: there are none.
	Secrets scrub.Sets

	message Opcode // of the unfinished message, or 0
	mask    *scrub.Mask
	control int // matches in control frames
	out     queue
	scratch []byte
}

const piece = 32 << 10 // bytes of payload forwarded at a time

// Copy relays frames until src ends. It returns the bytes forwarded and nil when
// src ended between two frames; an *[Error] when a peer broke the rules.
func (r *Relay) Copy(dst io.Writer, src io.Reader) (int64, error) {
	in, ok := src.(*bufio.Reader)
	if !ok {
		in = bufio.NewReaderSize(src, piece)
	}
	r.out = queue{dst: dst}
	if r.Secrets != nil {
		r.mask = scrub.NewMask(r.Secrets)
	}
	var buf [14]byte
	for {
		h, err := readHeader(in, buf[:])
		if err == nil {
			err = r.check(h)
		}
		if err == nil {
			err = r.forward(in, h)
		}
		if err == io.EOF {
			r.out.release(r.mask)
			return r.out.sent, r.out.flush()
		}
		if err != nil {
			return r.out.sent, err
		}
	}
}

func (r *Relay) check(h header) error {
	switch {
	case !h.op.known():
		return &Error{Protocol, "unknown opcode"}
	case h.masked != r.FromClient:
		return &Error{Protocol, "mask missing or out of place"}
	case h.op.control() && (!h.fin || h.length > maxControl || h.rsv != 0):
		return &Error{Protocol, "control frame fragmented, too long or with reserved bits"}
	case h.op == Close && h.length == 1:
		return &Error{Protocol, "close frame with half a code"}
	case h.op == Continuation && r.message == 0:
		return &Error{Protocol, "continuation of nothing"}
	case !h.op.control() && h.op != Continuation && r.message != 0:
		return &Error{Protocol, "message inside a message"}
	case h.rsv != 0 && !(r.Compressed && h.rsv == 0x40 && h.op != Continuation):
		return &Error{Protocol, "reserved bit without an extension"}
	case r.MaxFrame != 0 && h.length > r.MaxFrame:
		return &Error{TooBig, "frame is over the bound"}
	}
	if !h.op.control() && h.op != Continuation {
		r.message = h.op
	}
	return nil
}

// forward sends the header and the payload piece by piece; a small frame leaves
// in one write.
func (r *Relay) forward(in *bufio.Reader, h header) error {
	r.out.add(h.raw)
	op, data := h.op, !h.op.control()
	if data {
		op = r.message
	}
	for offset, left := 0, h.length; ; {
		n := min(left, piece)
		p := r.out.grow(int(n))
		if _, err := io.ReadFull(in, p); err != nil {
			return unexpected(err)
		}
		left -= n
		if h.op == Close && n > 0 && !closeCode(uint16(p[0]^h.key[0])<<8|uint16(p[1]^h.key[1])) {
			return &Error{Protocol, "close code that no frame may carry"}
		}
		if err := r.inspect(op, h.fin && left == 0, p, h, offset); err != nil {
			return err
		}
		offset += int(n)
		switch {
		case r.mask == nil:
		case data:
			r.out.mask(r.mask, len(p))
		default: // whole, and no part of the message around it
			r.control += r.Secrets.Load().Bytes(p)
		}
		if data && h.fin && left == 0 {
			r.message = 0
			r.out.release(r.mask)
		}
		if err := r.out.flush(); err != nil {
			return err
		}
		if left == 0 {
			return nil
		}
	}
}

func (r *Relay) inspect(op Opcode, last bool, p []byte, h header, offset int) error {
	if r.Inspect == nil {
		return nil
	}
	if h.masked {
		r.scratch = append(r.scratch[:0], p...)
		for i := range r.scratch {
			r.scratch[i] ^= h.key[(offset+i)&3]
		}
		p = r.scratch
	}
	if err := r.Inspect(op, last, p); err != nil {
		return &Error{Policy, err.Error()}
	}
	return nil
}

// Found is how often the secret was masked. It is called after Copy returned.
func (r *Relay) Found() int {
	if r.mask == nil {
		return 0
	}
	return r.mask.Found() + r.control
}

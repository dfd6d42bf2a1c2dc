package frame

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Opcode is the kind of a frame (RFC 6455 section 5.2).
type Opcode byte

// The opcodes.
const (
	Continuation Opcode = 0x0
	Text         Opcode = 0x1
	Binary       Opcode = 0x2
	Close        Opcode = 0x8
	Ping         Opcode = 0x9
	Pong         Opcode = 0xA
)

func (o Opcode) control() bool { return o&0x8 != 0 }

func (o Opcode) known() bool { return o <= Binary || o >= Close && o <= Pong }

// Close codes (RFC 6455 section 7.4.1).
const (
	Going    = 1001 // the route is gone, or the bottle
	Protocol = 1002 // the peer broke the protocol
	Policy   = 1008 // the inspector refused
	TooBig   = 1009
)

// closeCode reports whether a close frame may carry code: one that is registered,
// a library's or an application's. 1004 is reserved, and 1005, 1006 and 1015 are
// what an endpoint tells its own program (RFC 6455 section 7.4).
func closeCode(code uint16) bool {
	return code >= 1000 && code <= 1003 || code >= 1007 && code <= 1014 || code >= 3000 && code <= 4999
}

// Error is a violation of the protocol or of a bound.
type Error struct {
	Code   uint16
	Reason string
}

func (e *Error) Error() string { return fmt.Sprintf("websocket: %s (close code %d)", e.Reason, e.Code) }

const maxControl = 125 // bytes of a control frame's payload

type header struct {
	fin    bool
	rsv    byte // the three bits, as 0x70 masks them
	op     Opcode
	masked bool
	key    [4]byte
	length uint64
	raw    []byte // as received
}

// readHeader reads one frame header into buf, which has room for 14 bytes. The
// error is io.EOF only between frames.
func readHeader(r io.Reader, buf []byte) (header, error) {
	var h header
	if _, err := io.ReadFull(r, buf[:2]); err != nil {
		return h, err
	}
	h.fin, h.rsv, h.op = buf[0]&0x80 != 0, buf[0]&0x70, Opcode(buf[0]&0x0F)
	h.masked, h.length = buf[1]&0x80 != 0, uint64(buf[1]&0x7F)
	n := 2
	extra := map[uint64]int{126: 2, 127: 8}[h.length]
	if h.masked {
		extra += 4
	}
	if _, err := io.ReadFull(r, buf[n:n+extra]); err != nil {
		return h, unexpected(err)
	}
	switch h.length {
	case 126:
		h.length = uint64(binary.BigEndian.Uint16(buf[n:]))
		n += 2
		if h.length < 126 {
			return h, &Error{Protocol, "length is not in its shortest form"}
		}
	case 127:
		h.length = binary.BigEndian.Uint64(buf[n:])
		n += 8
		if h.length < 1<<16 || h.length>>63 != 0 {
			return h, &Error{Protocol, "length is not in its shortest form, or negative"}
		}
	}
	if h.masked {
		n += copy(h.key[:], buf[n:n+4])
	}
	h.raw = buf[:n]
	return h, nil
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

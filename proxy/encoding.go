package proxy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"bottled/dlp/decode"
)

// Bounds of what is undone. Deflate makes at most 1032 bytes of one (RFC 1951); what
// makes more of less is a bomb, in whatever coding.
const (
	maxCodings = 3
	maxRatio   = 1100
	freeOutput = 1 << 20 // bytes that are not held against the ratio
)

var errBomb = fmt.Errorf("more than %d bytes came out of each", maxRatio)

// codingError is a body that is not in the coding that it was said to be in.
type codingError struct {
	format decode.Format
	err    error
}

func (e *codingError) Unwrap() error { return e.err }

func (e *codingError) Error() string {
	return fmt.Sprintf("the response is no valid %s: %v", e.format, e.err)
}

// codings returns the formats that a Content-Encoding names, in the order in which
// they were applied (RFC 9110 section 8.4), or why they cannot be undone.
func codings(lines []string) ([]decode.Format, error) {
	var list []decode.Format
	for _, line := range lines {
		for name := range strings.SplitSeq(line, ",") {
			name = strings.TrimSpace(name)
			if name == "" || strings.EqualFold(name, "identity") {
				continue
			}
			format, ok := decode.Coding(name)
			if !ok {
				return nil, fmt.Errorf("content coding %q", name)
			}
			if list = append(list, format); len(list) > maxCodings {
				return nil, fmt.Errorf("more than %d content codings", maxCodings)
			}
		}
	}
	return list, nil
}

// plain is a body whose content codings are undone as it is read. It gives out what an
// upstream flushed as soon as that has arrived.
type plain struct {
	io.Reader
	layers []*layer
	in     int64 // bytes read of the source
}

func undo(src io.Reader, list []decode.Format) *plain {
	p := &plain{}
	p.Reader = &counted{src, &p.in}
	for i := len(list) - 1; i >= 0; i-- { // the last was applied last: it is the first to go
		l := &layer{of: p, src: bufio.NewReader(p.Reader), format: list[i]}
		p.layers, p.Reader = append(p.layers, l), l
	}
	return p
}

// close frees the decoders. The source stays open.
func (p *plain) close() {
	for _, l := range p.layers {
		if l.in != nil {
			l.in.Close()
		}
	}
}

// layer undoes one coding. It begins with the first Read, which waits for the upstream.
// What it makes is held against the bytes of the source, also where the layers above it
// make nothing of that: a stream of empty streams costs as much.
type layer struct {
	of     *plain
	src    *bufio.Reader
	format decode.Format
	in     io.ReadCloser // nil: not begun
	made   int64         // bytes
	err    error
}

func (l *layer) Read(b []byte) (int, error) {
	if l.err != nil {
		return 0, l.err
	}
	n := 0
	if l.in == nil {
		l.err = l.begin()
	}
	if l.err == nil {
		n, l.err = l.in.Read(b)
		l.made += int64(n)
		switch {
		case l.made > freeOutput && l.made > maxRatio*l.of.in:
			n, l.err = 0, errBomb
		case l.err == io.EOF:
			l.err = l.end()
		}
	}
	var inner *codingError
	if l.err != nil && l.err != io.EOF && !errors.As(l.err, &inner) {
		l.err = &codingError{l.format, l.err}
	}
	return n, l.err
}

// begin starts the decoder. A body of no bytes is one of no content, in any coding.
func (l *layer) begin() error {
	head, err := l.src.Peek(2)
	if len(head) == 0 {
		return err
	}
	if len(head) < 2 {
		return io.ErrUnexpectedEOF
	}
	l.format = l.format.Bare([2]byte(head))
	l.in, err = decode.NewReader(l.format, l.src)
	if err != nil {
		l.in = nil
	}
	return err
}

// end reads the source to its end: its trailer comes after that, and what is not of
// the stream is nobody's.
func (l *layer) end() error {
	if _, err := l.src.ReadByte(); err != nil {
		return err
	}
	return decode.ErrTrailing
}

type counted struct {
	io.Reader
	n *int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	*c.n += int64(n)
	return n, err
}

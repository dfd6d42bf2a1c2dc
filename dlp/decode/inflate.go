package decode

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
)

// Format is a compressed format.
type Format uint8

// The formats. The zero value is none and cannot be inflated.
const (
	_       Format = iota
	Gzip           // RFC 1952, any number of members
	Zlib           // RFC 1950
	Deflate        // RFC 1951, without a wrapper
	Brotli         // RFC 7932
	Zstd           // RFC 8878, windows up to 8 MiB, no dictionaries
)

// String returns the name of the format.
func (f Format) String() string {
	if int(f) >= len(formatNames) {
		return "unknown"
	}
	return formatNames[f]
}

var formatNames = [...]string{"none", "gzip", "zlib", "deflate", "br", "zstd"}

// ErrTrailing is returned by Close when bytes follow the end of the stream.
var ErrTrailing = errors.New("data after the end of the compressed stream")

// Inflater turns a decompressor, which pulls its input, into one that is pushed:
// Write returns when everything that can be decompressed so far has been handed
// on. The decompressor runs as a coroutine of the caller, so nothing happens
// behind its back. An Inflater must be closed or stopped.
type Inflater struct {
	format Format
	out    func([]byte) error
	in     []byte
	eof    bool
	err    error
	done   bool // the stream ended, well or not
	resume func() (struct{}, bool)
	stop   func()
}

// NewInflater returns an inflater that calls out with each piece of output, which
// is valid during the call. An error of out ends the stream with that error.
func NewInflater(f Format, out func([]byte) error) *Inflater {
	d := &Inflater{format: f, out: out}
	d.resume, d.stop = iter.Pull(d.run)
	return d
}

// Write decompresses p. After the end of the stream or an error it does nothing
// and returns [io.EOF] or the error.
func (d *Inflater) Write(p []byte) (int, error) {
	if d.done {
		return 0, d.end()
	}
	d.in = p
	d.resume()
	d.in = nil
	if d.done {
		return len(p), d.end()
	}
	return len(p), nil
}

// Close says that the input ends here. It returns nil if the stream was whole and
// nothing followed it.
func (d *Inflater) Close() error {
	if !d.done {
		d.eof = true
		d.resume()
	}
	d.stop()
	return d.err
}

// Stop gives the stream up.
func (d *Inflater) Stop() {
	d.stop()
	d.done = true
}

func (d *Inflater) end() error {
	if d.err == nil {
		return io.EOF
	}
	return d.err
}

// run is the coroutine.
func (d *Inflater) run(yield func(struct{}) bool) {
	defer func() {
		if p := recover(); p != nil {
			d.err = fmt.Errorf("%v: decompressor failed: %v", d.format, p)
		}
		d.done = true
	}()
	src := bufio.NewReaderSize(&source{d: d, yield: yield}, 512)
	d.err = d.inflate(src)
	if d.err == nil {
		if _, err := src.ReadByte(); err == nil {
			d.err = ErrTrailing
		}
	}
}

func (d *Inflater) inflate(src *bufio.Reader) error {
	r, err := NewReader(d.format, src)
	if err != nil {
		return err
	}
	defer r.Close()
	buf := make([]byte, 16<<10)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			if err := d.out(buf[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// source is the input of the coroutine: it hands control back when it runs dry.
type source struct {
	d     *Inflater
	yield func(struct{}) bool
}

func (s *source) Read(p []byte) (int, error) {
	for len(s.d.in) == 0 {
		if s.d.eof {
			return 0, io.EOF
		}
		if !s.yield(struct{}{}) {
			return 0, io.ErrClosedPipe
		}
	}
	n := copy(p, s.d.in)
	s.d.in = s.d.in[n:]
	return n, nil
}

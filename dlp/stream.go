package dlp

import (
	"encoding/binary"
	"slices"

	"bottled/dlp/decode"
)

// stream is compressed data being decompressed: declared, or found in a view by its
// signature.
type stream struct {
	s      *Scan
	from   *view // where it was found; nil if it was declared
	view   *view // of what it says
	in     *decode.Inflater
	format decode.Format
	at     int64 // how far the view has been handed over
	zip    bool  // the local header of a zip entry is still to be skipped
	mark   int64 // Scan.mark when it last said something: bytes after it are undecided
}

// startCost is the work of starting a decompressor.
const startCost = 5000

// inflate starts to decompress what begins at start. A stream within another is
// tried as well: it may be the real one.
func (v *view) inflate(l *literal, start int64) {
	in := &stream{s: v.s, from: v, format: l.magic, at: start, zip: l.zip, mark: v.s.mark}
	if p := v.buf[start-v.base:]; l.magic == decode.Zlib && !decode.Deflated(p[2:]) {
		return
	}
	v.s.spend(startCost)
	v.streams = append(v.streams, in)
	v.s.open = append(v.s.open, in)
	if !in.feed() { // most end here
		in.drop()
	}
	if len(v.s.open) > v.s.e.limits.Streams {
		v.s.refuse(TooManyStreams, "it holds too many compressed streams at a time")
	}
}

// pump hands the buffer to the streams that go on.
func (v *view) pump() {
	for i := 0; i < len(v.streams); {
		in := v.streams[i]
		if v.s.err == nil && in.feed() {
			i++
			continue
		}
		in.drop()
	}
}

// feed hands the rest of the buffer over and reports whether the stream goes on.
func (in *stream) feed() bool {
	v := in.from
	p := v.buf[in.at-v.base:]
	if in.zip {
		skip, wait := zipHeader(p)
		if wait {
			return true
		}
		if skip == 0 {
			return false
		}
		in.zip = false
		in.at += int64(skip)
		p = p[skip:]
	}
	if in.in == nil {
		if len(p) < 3 {
			return true
		}
		in.view = v.child(in.format.String(), in.at)
		in.in = decode.NewInflater(in.format, in.take)
	}
	in.at += int64(len(p))
	_, err := in.in.Write(p)
	return err == nil
}

// zipHeader returns the length of the local file header at the start of p (APPNOTE
// 4.3.7), or 0 if its entry is not deflated. It asks to wait if the header is not
// all there.
func zipHeader(p []byte) (n int, wait bool) {
	const fixed = 30
	if len(p) < fixed {
		return 0, true
	}
	if binary.LittleEndian.Uint16(p[8:]) != 8 {
		return 0, false
	}
	n = fixed + int(binary.LittleEndian.Uint16(p[26:])) + int(binary.LittleEndian.Uint16(p[28:]))
	if n > lookBack {
		return 0, false
	}
	return n, len(p) < n
}

// take is what the decompressor calls.
func (in *stream) take(p []byte) error {
	in.mark = in.s.mark
	in.s.inflate(len(p))
	in.s.spend(len(p) * 4)
	in.view.write(p)
	return in.s.err
}

// end is drop at the end of the input.
func (in *stream) end() {
	if in.in != nil {
		in.in.Close() // what it did not come to say is not there
		in.in = nil
	}
	in.drop()
}

// drop forgets the stream.
func (in *stream) drop() {
	if in.in != nil {
		in.in.Stop()
		in.in = nil
	}
	if in.view != nil {
		in.view.finish()
		in.view = nil
	}
	if in.from != nil {
		in.from.streams = slices.DeleteFunc(in.from.streams, func(o *stream) bool { return o == in })
	}
	in.s.open = slices.DeleteFunc(in.s.open, func(o *stream) bool { return o == in })
}

// decided returns how many bytes fed are decided upon: what is still in the works
// of a decompressor is not.
func (s *Scan) decided() int64 {
	least := s.fed
	for _, in := range s.open {
		least = min(least, in.mark)
	}
	return least
}

package decode

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// maxWindow bounds what one zstd stream may make us keep: the least that RFC 8878,
// section 3.1.1.1.2 recommends decoders to support, and all that RFC 9659 lets a
// content encoding use.
const maxWindow = 8 << 20

// Coding returns the format of a content coding, by its name in the IANA registry in
// any case. "deflate" is zlib (RFC 9110, section 8.4.1.2), but some send it without the
// wrapper: see [Format.Bare].
func Coding(name string) (Format, bool) {
	f, ok := codings[strings.ToLower(name)]
	return f, ok
}

var codings = map[string]Format{"gzip": Gzip, "x-gzip": Gzip, "deflate": Zlib, "br": Brotli, "zstd": Zstd}

// Bare returns the format that a stream of f is really in, by its first two bytes:
// Deflate for a Zlib stream that lacks the header of RFC 1950, section 2.2.
func (f Format) Bare(head [2]byte) Format {
	if f == Zlib && (head[0]&0x0f != 8 || (int(head[0])<<8|int(head[1]))%31 != 0) {
		return Deflate
	}
	return f
}

// NewReader returns a reader of what src holds in format f. It reads the header of the
// stream at once, and of src no more than it must to give the next bytes, so that a
// sender that flushes is heard. Closing it leaves src open.
func NewReader(f Format, src *bufio.Reader) (io.ReadCloser, error) {
	switch f {
	case Gzip:
		return gzip.NewReader(src)
	case Zlib:
		return zlib.NewReader(src)
	case Deflate:
		return flate.NewReader(src), nil
	case Brotli:
		return io.NopCloser(brotli.NewReader(src)), nil
	case Zstd:
		z, err := zstd.NewReader(src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(4*maxWindow))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	}
	return nil, fmt.Errorf("unknown compressed format %d", f)
}

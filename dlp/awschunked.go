package dlp

import (
	"bytes"
	"strconv"
)

// awsChunked is a content coding that encodes nothing: the data stands in chunks,
// each of which may be signed.
const awsChunked = "aws-chunked"

// awsChunks takes the framing of aws-chunked away (Amazon S3, "Signature
// calculations for the authorization header: transferring payload in multiple
// chunks"):
//
//	chunk   = size-in-hex [";chunk-signature=" 64HEXDIG] CRLF data CRLF
//	body    = *chunk "0" [";chunk-signature=" 64HEXDIG] CRLF *(trailer CRLF) CRLF
//
// It takes this form and no other, so that nothing hides beside the data. A trailer
// is judged like a value of the body.
type awsChunks struct {
	s     *Scan
	sink  func([]byte) error
	under coding // whose write sink is, if any
	at    awsState
	line  []byte // the line in hand
	left  uint64 // bytes of the chunk
}

type awsState uint8

const (
	awsSize awsState = iota
	awsData
	awsDataEnd // the empty line after a chunk
	awsTrailer
	awsOver
)

// maxAWSLine bounds a line of the framing: a size with its signature takes some 100
// bytes, a trailer with one 200.
const maxAWSLine = 1 << 10

func (a *awsChunks) write(p []byte) error {
	for len(p) > 0 && a.s.err == nil {
		if a.at == awsData {
			n := min(uint64(len(p)), a.left)
			if err := a.sink(p[:n]); err != nil {
				return err
			}
			p = p[n:]
			if a.left -= n; a.left == 0 {
				a.at = awsDataEnd
			}
			continue
		}
		i := bytes.IndexByte(p, '\n')
		take := p
		if i >= 0 {
			take = p[:i+1]
		}
		if len(a.line)+len(take) > maxAWSLine || a.at == awsOver {
			a.bad()
			break
		}
		a.line = append(a.line, take...)
		p = p[len(take):]
		if i >= 0 {
			line, ok := bytes.CutSuffix(a.line, []byte("\r\n"))
			if !ok || !a.end(line) {
				a.bad()
			}
			a.line = a.line[:0]
		}
	}
	return a.s.err
}

// end takes a whole line and reports whether it may stand there.
func (a *awsChunks) end(line []byte) bool {
	switch a.at {
	case awsSize:
		size, signature, signed := bytes.Cut(line, []byte(";"))
		if signed && !awsSignature(signature) {
			return false
		}
		n, err := strconv.ParseUint(string(size), 16, 63)
		if err != nil || len(size) == 0 || !hexDigits(size) {
			return false
		}
		if a.left, a.at = n, awsData; n == 0 {
			a.at = awsTrailer
		}
		return true
	case awsDataEnd:
		a.at = awsSize
		return len(line) == 0
	case awsTrailer:
		if len(line) == 0 {
			a.at = awsOver
			return true
		}
		v := a.s.view(Body, "", 0, awsChunked)
		v.write(line)
		v.finish()
		a.s.join(Trailer, "", string(line))
		return bytes.IndexByte(line, ':') > 0
	}
	return false
}

func awsSignature(p []byte) bool {
	digits, ok := bytes.CutPrefix(p, []byte("chunk-signature="))
	return ok && len(digits) == 64 && hexDigits(digits)
}

func hexDigits(p []byte) bool { return len(bytes.Trim(p, "0123456789abcdefABCDEF")) == 0 }

func (a *awsChunks) bad() {
	a.s.refuse(BadEncoding, "it is not valid aws-chunked, or goes on after its end; send it without content encoding")
}

func (a *awsChunks) close() {
	if a.at != awsOver || len(a.line) > 0 {
		a.bad()
	}
	if a.under != nil {
		a.under.close()
	}
}

package dlp

import (
	"errors"
	"fmt"
	"strings"

	"bottled/dlp/decode"
	"bottled/dlp/rules"
)

// BodyOptions says what a body is declared to be.
type BodyOptions struct {
	Type     string // Content-Type
	Encoding string // Content-Encoding, all its values joined with commas
	// Interactive marks a body whose sender waits for answers while it goes on, such
	// as a gRPC stream: a Gate then keeps back nothing that is decided. A secret is
	// still never released whole, but its first part may be.
	Interactive bool
	// Unreadable lets a body pass whose content encoding nobody here can undo: its
	// bytes are judged as they are, and a finding says so. Otherwise it is refused.
	Unreadable bool
	// Trailer is called by a Gate when the body has ended and before its last bytes
	// are released, to give the trailers to Scan.Field.
	Trailer func()
}

// maxEncodings bounds a stack of content encodings.
const maxEncodings = 4

// BodyScan judges one body as it comes. It is an io.Writer that never blocks. It
// must be closed before its scan.
type BodyScan struct {
	s     *Scan
	opt   BodyOptions
	raw   *view
	plain *view // of the decoded body; nil if it is not encoded
	first coding
	split splitter
	text  piece // where nothing is split
	begun bool
	ended bool
}

// Body starts to judge a body. An encoding that is not known is refused, unless o
// says otherwise.
func (s *Scan) Body(o BodyOptions) *BodyScan {
	b := &BodyScan{s: s, opt: o, raw: s.view(Body, "", 0, "")}
	s.spans = s.spans[:0]
	names, framed, err := codings(o.Encoding)
	if err != nil {
		s.refuse(UnknownEncoding, err.Error())
		return b
	}
	var sink func([]byte) error
	if len(names) > 0 || framed {
		sink = b.decoded
	}
	var under coding
	for _, name := range names { // the last was applied last: it is the first to go
		f, ok := decode.Coding(name)
		if !ok && !o.Unreadable {
			s.refuse(UnknownEncoding, fmt.Sprintf("content encoding %q is not known; send it as it is, or with gzip, deflate, br or zstd", name))
			return b
		}
		if !ok { // and what is within it is out of reach
			s.unreadable()
			sink, under = b.decoded, nil
			continue
		}
		l := &layer{s: s, name: name, format: f, sink: sink, under: under}
		sink, under = l.write, l
	}
	if framed {
		under = &awsChunks{s: s, sink: sink, under: under}
	}
	if b.first = under; b.first != nil {
		b.raw.leaf = true // its encodings are undone below
		if framed {
			names = append(names, awsChunked)
		}
		b.plain = s.view(Body, "", 0, strings.Join(names, ">"))
	}
	return b
}

// codings returns the content codings of a body, in the order in which they were
// applied, and whether all of it is framed in chunks of aws-chunked. That one is on
// the outside wherever it stands in the list: AWS's own clients write it first.
func codings(header string) (names []string, framed bool, err error) {
	for name := range strings.SplitSeq(header, ",") {
		switch name = strings.ToLower(strings.TrimSpace(name)); {
		case name == "" || name == "identity":
		case name != awsChunked:
			names = append(names, name)
		case framed:
			return nil, false, errors.New("it is aws-chunked twice")
		default:
			framed = true
		}
	}
	if len(names) > maxEncodings {
		return nil, false, fmt.Errorf("it has %d content encodings, at most %d are undone", len(names), maxEncodings)
	}
	return names, framed, nil
}

// unreadable notes that a body passes which could not be decoded.
func (s *Scan) unreadable() {
	s.findings = append(s.findings, Finding{Rule: string(UnknownEncoding), Class: rules.Generic, Mode: Warn, Kind: Body})
}

// coding undoes one content coding.
type coding interface {
	write(p []byte) error
	close()
}

// Write judges p, the next piece of the body as it goes over the wire. Its error is
// that of Scan.Err.
func (b *BodyScan) Write(p []byte) (int, error) {
	if len(p) == 0 || b.ended || !b.s.feed(len(p)) {
		if b.ended {
			b.s.refuse(Ended, "its body goes on after its end")
		}
		return 0, b.s.err
	}
	b.raw.write(p)
	if b.first != nil {
		b.first.write(p)
	} else {
		b.values(p)
	}
	if b.s.err != nil {
		return 0, b.s.err
	}
	return len(p), nil
}

// decoded takes what is left when all content encodings are undone.
func (b *BodyScan) decoded(p []byte) error {
	b.plain.write(p)
	b.values(p)
	return b.s.err
}

func (b *BodyScan) values(p []byte) {
	if !b.begun {
		b.begun = true
		b.split = splitterFor(b.s, b.opt.Type, p)
	}
	if b.split != nil {
		b.split.write(p)
	} else if b.s.trail != nil {
		b.text.write(p)
	}
}

// sync brings the judgement up to the last byte written. If judge is set, also
// where more bytes could turn a match into none.
func (b *BodyScan) sync(judge bool) {
	b.raw.sync(judge)
	if b.plain != nil {
		b.plain.sync(judge)
	}
	if judge {
		b.s.values.judge()
		b.s.keys.judge()
	}
}

// Close says that the body ends here. Its error is that of Scan.Err.
func (b *BodyScan) Close() error {
	if b.ended || b.s.closed {
		return b.s.err
	}
	b.ended = true
	if b.first != nil {
		b.first.close()
	}
	b.raw.finish()
	if b.plain != nil {
		b.plain.finish()
	}
	if b.split != nil {
		b.split.close()
		b.split = nil
	} else {
		b.s.follow(Body, "", &b.text)
	}
	b.s.values.judge()
	b.s.keys.judge()
	return b.s.err
}

// layer undoes one content encoding. Unlike compressed data that is only found, it
// must be whole, and nothing may follow it.
type layer struct {
	s      *Scan
	name   string
	format decode.Format
	sink   func([]byte) error
	under  coding // whose write sink is, if any
	in     *stream
	head   []byte // first bytes, until the format is known
}

func (l *layer) write(p []byte) error {
	if l.in == nil {
		l.head = append(l.head, p...)
		if len(l.head) < 2 {
			return nil
		}
		l.begin()
		p, l.head = l.head, nil
	}
	if _, err := l.in.in.Write(p); err != nil {
		l.bad()
	}
	return l.s.err
}

// begin starts the decompressor.
func (l *layer) begin() {
	l.format = l.format.Bare([2]byte(l.head))
	in := &stream{s: l.s, mark: l.s.mark}
	in.in = decode.NewInflater(l.format, func(p []byte) error {
		in.mark = l.s.mark
		l.s.inflate(len(p))
		l.s.spend(len(p) * 4)
		if l.s.err != nil {
			return l.s.err
		}
		return l.sink(p)
	})
	l.in = in
	l.s.open = append(l.s.open, in)
}

func (l *layer) bad() {
	l.s.refuse(BadEncoding, fmt.Sprintf("it is not valid %s, or goes on after its end; send it without content encoding", l.name))
}

func (l *layer) close() {
	switch {
	case l.in != nil && l.in.in != nil:
		err := l.in.in.Close() // emits what is left
		l.in.in = nil
		l.in.drop()
		if err != nil {
			l.bad()
		}
	case len(l.head) > 0:
		l.bad()
	}
	if l.under != nil {
		l.under.close()
	}
}

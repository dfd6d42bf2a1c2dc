package audit

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Hash is the SHA-256 of one line of the log, without its newline. The zero Hash
// is what stands before the first line of all.
type Hash [sha256.Size]byte

// String returns h in hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText implements [encoding.TextMarshaler].
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (h *Hash) UnmarshalText(b []byte) error {
	if len(b) != hex.EncodedLen(len(h)) {
		return errors.New("audit: a hash has 64 hexadecimal digits")
	}
	_, err := hex.Decode(h[:], b)
	return err
}

// maxLine bounds a line, in bytes: every string at its bound with each byte
// escaped to six, and the numbers.
const maxLine = 6*(15*maxName+2*maxText) + 1024

// Head is the last link of a chain: what the next line goes on from. Somebody who keeps
// a head elsewhere can tell when the end of a log was cut off, which the chain
// alone cannot show.
type Head struct {
	Seq  uint64 // of the last line; 0 before the first
	Hash Hash   // of the last line
}

// append adds the line of e to b and returns it with the new head.
func (h Head) append(b []byte, e Event) ([]byte, Head, error) {
	out, err := e.clean().appendLine(b, h.Seq+1, h.Hash)
	if err != nil {
		return b, h, err
	}
	return append(out, '\n'), Head{h.Seq + 1, sha256.Sum256(out[len(b):])}, nil
}

// Verify checks a log against the chain: that each line names the hash of the
// line before it and that numbers go up by one. It returns the head it came to,
// from which the next file goes on.
func Verify(r io.Reader, start Start) (Head, error) {
	br := bufio.NewReaderSize(r, maxLine)
	head, known := start.head, !start.any
	for n := 1; ; n++ {
		line, err := br.ReadSlice('\n')
		switch {
		case err == io.EOF && len(line) == 0:
			return head, nil
		case err == io.EOF:
			return head, fmt.Errorf("line %d: cut off: it has no end", n)
		case err == bufio.ErrBufferFull:
			return head, fmt.Errorf("line %d: longer than any line that bottled writes (%d bytes)", n, maxLine)
		case err != nil:
			return head, fmt.Errorf("line %d: %w", n, err)
		}
		line = bytes.TrimSuffix(line, []byte("\n"))
		var l struct {
			Seq  uint64 `json:"seq"`
			Prev *Hash  `json:"prev"`
		}
		if err := json.Unmarshal(line, &l); err != nil || l.Prev == nil || l.Seq == 0 {
			return head, fmt.Errorf("line %d: not a line of an audit log", n)
		}
		if !known {
			head, known = Head{l.Seq - 1, *l.Prev}, true
		}
		if *l.Prev != head.Hash || l.Seq != head.Seq+1 {
			return head, fmt.Errorf("line %d (seq %d): does not follow seq %d: a line before it was changed, removed or added", n, l.Seq, head.Seq)
		}
		head = Head{l.Seq, sha256.Sum256(line)}
	}
}

// Start is where [Verify] starts from.
type Start struct {
	head Head
	any  bool
}

// From demands a log that goes on from head; the zero Head is the beginning.
func From(head Head) Start { return Start{head: head} }

// Any takes the first line's word for what came before it, as one must when older
// files were rotated away.
var Any = Start{any: true}

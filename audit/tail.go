package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
)

// rotatedHead is the head of path.1, for a file that has no line yet.
func (f *file) rotatedHead() (Head, error) {
	older, err := os.Open(f.path + ".1")
	if errors.Is(err, fs.ErrNotExist) {
		return Head{}, nil
	}
	if err != nil {
		return Head{}, err
	}
	defer older.Close()
	head, _, err := lastLine(older)
	return head, err
}

// lastLine returns the head that the last whole line of f stands for, and the
// offset of that line's end.
func lastLine(f *os.File) (Head, int64, error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return Head{}, 0, err
	}
	start := max(0, size-2*maxLine) // one torn line and one whole one before it
	tail := make([]byte, size-start)
	if _, err := f.ReadAt(tail, start); err != nil {
		return Head{}, 0, err
	}
	end := bytes.LastIndexByte(tail, '\n')
	if end < 0 {
		if start > 0 {
			return Head{}, 0, errors.New("its end is not that of an audit log; move it away")
		}
		return Head{}, 0, nil
	}
	line := tail[bytes.LastIndexByte(tail[:end], '\n')+1 : end]
	var l struct {
		Seq uint64 `json:"seq"`
	}
	if err := json.Unmarshal(line, &l); err != nil || l.Seq == 0 {
		return Head{}, 0, errors.New("its last line is not that of an audit log; move it away")
	}
	return Head{l.Seq, sha256.Sum256(line)}, start + int64(end) + 1, nil
}

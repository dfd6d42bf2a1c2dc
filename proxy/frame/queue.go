package frame

import (
	"io"

	"bottled/proxy/scrub"
)

// queue is what has been read and not sent: raw stream bytes, and among them the
// places of the payload bytes that may begin a match of the secret. Headers of
// later frames wait behind held payload, so the order of the stream is kept.
type queue struct {
	dst    io.Writer
	bytes  []byte
	places []int // of the latest payload bytes, oldest first
	sent   int64
}

func (q *queue) add(p []byte) { q.bytes = append(q.bytes, p...) }

// grow returns n bytes at the end of the queue to be filled in.
func (q *queue) grow(n int) []byte {
	q.bytes = append(q.bytes, make([]byte, n)...)
	return q.bytes[len(q.bytes)-n:]
}

// mask runs the last n bytes of the queue, which are payload, through m, and
// keeps the places of those that are held back.
func (q *queue) mask(m *scrub.Mask, n int) {
	at := len(q.bytes) - n
	q.put(m.Next(q.bytes[at:]), at)
	for held := m.Held(); len(q.places) < held; {
		q.places = append(q.places, len(q.bytes)-held+len(q.places))
	}
}

// put writes clean payload back: to the places of what was held back, and then from at on.
func (q *queue) put(clean []byte, at int) {
	held := min(len(q.places), len(clean))
	for i, place := range q.places[:held] {
		q.bytes[place] = clean[i]
	}
	q.places = append(q.places[:0], q.places[held:]...)
	copy(q.bytes[at:], clean[held:])
}

// release gives up what is held back: a message that is over must be sent.
func (q *queue) release(m *scrub.Mask) {
	if len(q.places) > 0 {
		q.put(m.Rest(), len(q.bytes))
	}
}

// flush sends all that is not held back.
func (q *queue) flush() error {
	n := len(q.bytes)
	if len(q.places) > 0 {
		n = q.places[0]
	}
	if n == 0 {
		return nil
	}
	w, err := q.dst.Write(q.bytes[:n])
	q.sent += int64(w)
	if err != nil {
		return err
	}
	q.bytes = q.bytes[:copy(q.bytes, q.bytes[n:])]
	for i := range q.places {
		q.places[i] -= n
	}
	return nil
}

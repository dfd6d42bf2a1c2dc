package api

import (
	"context"
	"net/http"

	"golang.org/x/sync/semaphore"
)

// What the calls of one user may make the daemon hold at a time, however many
// connections they come by.
const (
	maxBodies  = 32 << 20 // bytes of documents, each from its arrival to its answer
	maxAnswers = 8        // answers that may be large, each until its client has read it
)

// A share is what all connections of one user have together. Nil is root's, which has no
// bounds. Its methods may be called concurrently.
type share struct {
	conns   int // the listener's
	bodies  *semaphore.Weighted
	answers *semaphore.Weighted
}

func newShare() *share {
	return &share{bodies: semaphore.NewWeighted(maxBodies), answers: semaphore.NewWeighted(maxAnswers)}
}

var errTooMuch = refusal{http.StatusServiceUnavailable, "unavailable", "too many large requests of yours are under way: wait for some, then try again"}

// body takes the place of a document of n bytes, until release is called. It does not
// wait: what the documents before wait for may take minutes.
func (s *share) body(n int64) (release func(), err error) {
	switch {
	case s == nil:
		return func() {}, nil
	case !s.bodies.TryAcquire(n):
		return nil, errTooMuch
	}
	return func() { s.bodies.Release(n) }, nil
}

// answer waits for the turn of an answer that may be large, until release is called.
func (s *share) answer(ctx context.Context) (release func(), err error) {
	if s == nil {
		return func() {}, nil
	}
	if err := s.answers.Acquire(ctx, 1); err != nil {
		return nil, errTooMuch // or the client has gone
	}
	return func() { s.answers.Release(1) }, nil
}

// take takes what the call needs of its user's share, until it is answered.
func (q *call) take(s *share, e *endpoint, length int64) error {
	if e.body && 0 < length && length <= MaxBody { // readBody refuses all else
		release, err := s.body(length)
		if err != nil {
			return err
		}
		q.taken = append(q.taken, release)
	}
	if e.large {
		release, err := s.answer(q.ctx)
		if err != nil {
			return err
		}
		q.taken = append(q.taken, release)
	}
	return nil
}

func (q *call) giveBack() {
	for _, release := range q.taken {
		release()
	}
}

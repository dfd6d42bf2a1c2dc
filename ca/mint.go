package ca

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
)

// Bounds of the minting of one authority, for allowed and for denied names each.
// One leaf costs about 0.1 ms of a core and 2 KiB while it is cached, so a bottle
// that invents names has 1 % of a core and 2 MiB.
const (
	CacheSize = 1024            // leaves kept
	MintRate  = 100             // leaves per second
	MintBurst = 500             // leaves at once, after a pause
	MintWait  = 2 * time.Second // longest wait for a turn
)

// ErrBusy is the error of a leaf that was refused because too many are being minted.
var ErrBusy = errors.New("too many new names at once")

// mint makes each leaf once, keeps the last used and bounds the rate.
type mint struct {
	limit  *rate.Limiter
	flight singleflight.Group

	mu     sync.Mutex
	leaves map[string]*list.Element
	recent *list.List // of *tls.Certificate and name, the last used first
}

type entry struct {
	name string
	cert *tls.Certificate
}

func newMint() *mint {
	return &mint{
		limit:  rate.NewLimiter(MintRate, MintBurst),
		leaves: make(map[string]*list.Element),
		recent: list.New(),
	}
}

// cached returns the leaf for name if there is one that does not end soon.
func (m *mint) cached(name string, now time.Time) *tls.Certificate {
	m.mu.Lock()
	defer m.mu.Unlock()
	el := m.leaves[name]
	if el == nil {
		return nil
	}
	cert := el.Value.(entry).cert
	if now.Add(leafRenew).After(cert.Leaf.NotAfter) {
		return nil
	}
	m.recent.MoveToFront(el)
	return cert
}

// once runs sign for name, unless a run for that name is under way whose result it
// takes, and keeps the leaf. The run does not end with the ctx of the caller that
// happened to start it.
func (m *mint) once(ctx context.Context, name string, sign func() (*tls.Certificate, error)) (*tls.Certificate, error) {
	done := m.flight.DoChan(name, func() (any, error) {
		wait, cancel := context.WithTimeout(context.Background(), MintWait)
		defer cancel()
		if err := m.limit.Wait(wait); err != nil {
			return nil, fmt.Errorf("ca: leaf for %q: %w (limit %d a second)", name, ErrBusy, MintRate)
		}
		cert, err := sign()
		if err != nil {
			return nil, err
		}
		m.keep(name, cert)
		return cert, nil
	})
	select {
	case r := <-done:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*tls.Certificate), nil
	case <-ctx.Done():
		return nil, fmt.Errorf("ca: leaf for %q: %w", name, ctx.Err())
	}
}

func (m *mint) keep(name string, cert *tls.Certificate) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if el := m.leaves[name]; el != nil {
		el.Value = entry{name, cert}
		m.recent.MoveToFront(el)
		return
	}
	m.leaves[name] = m.recent.PushFront(entry{name, cert})
	if m.recent.Len() > CacheSize {
		last := m.recent.Back()
		m.recent.Remove(last)
		delete(m.leaves, last.Value.(entry).name)
	}
}

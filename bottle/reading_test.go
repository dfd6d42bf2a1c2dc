package bottle

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
)

func TestOneManifestOfAUserIsReadAtATime(t *testing.T) {
	var r reading
	end, err := r.begin(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	other, err := r.begin(t.Context(), 2) // does not wait for the first
	if err != nil {
		t.Fatal(err)
	}
	other()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.begin(gone, 1); !errors.Is(err, ErrUnavailable) {
		t.Errorf("who has gone: %v", err)
	}
	var at atomic.Int32
	over := make(chan error)
	for range 20 {
		go func() {
			end, err := r.begin(t.Context(), 1)
			if err == nil && at.Add(1) > 1 {
				err = errors.New("two at a time")
			}
			at.Add(-1)
			if end != nil {
				end()
			}
			over <- err
		}()
	}
	if at.Load() != 0 {
		t.Error("one did not wait")
	}
	end()
	for range 20 {
		if err := <-over; err != nil {
			t.Error(err)
		}
	}
	if len(r.all) != 0 {
		t.Errorf("%d users are remembered", len(r.all))
	}
}

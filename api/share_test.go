package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"bottled/bottle"
)

// held are bottles whose calls last until they are let go.
type held struct {
	Bottles
	entered chan struct{}
	leave   chan struct{}
}

func (h *held) hold() {
	h.entered <- struct{}{}
	<-h.leave
}

func (h *held) List(bottle.Caller, bool) []bottle.Info {
	h.hold()
	return []bottle.Info{{ID: "a"}, {ID: "b"}}
}

func (h *held) Create(context.Context, bottle.Caller, bottle.CreateOptions) (bottle.Info, error) {
	h.hold()
	return bottle.Info{}, nil
}

// TestShareOfOneUser has a user make calls that the daemon must hold much for, all at once.
// What is over their share waits or is refused, and other users and root have their own.
func TestShareOfOneUser(t *testing.T) {
	h := &held{entered: make(chan struct{}, 1000), leave: make(chan struct{})}
	s := NewServer(h, nil)
	s.group = 5
	call := func(own *share, uid uint32, method, path, body string) *httptest.ResponseRecorder {
		c := &conn{share: own, peer: peer{Caller: bottle.Caller{UID: uid, GID: 5}, pidfd: -1}}
		r := httptest.NewRequestWithContext(context.WithValue(t.Context(), connKey{}, c), method, path, strings.NewReader(body))
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w
	}
	one, other := newShare(), newShare()
	answers := make(chan *httptest.ResponseRecorder, 1000)
	list := func(own *share, uid uint32) { answers <- call(own, uid, "GET", "/v1/bottles", "") }

	for range maxAnswers + 5 {
		go list(one, 1)
	}
	for range maxAnswers {
		<-h.entered
	}
	select {
	case <-h.entered:
		t.Errorf("more than %d large answers at a time", maxAnswers)
	case <-time.After(20 * time.Millisecond):
	}
	go list(other, 2)
	<-h.entered
	go list(nil, 0)
	<-h.entered

	document := `{"manifest": "version: 1\n", "command": ["true"], "dir": "/"}`
	create := func(own *share, uid uint32) { answers <- call(own, uid, "POST", "/v1/bottles", document) }
	const fit = 3
	before := int64(maxBodies - fit*len(document)) // of others that are under way
	if !one.bodies.TryAcquire(before) {
		t.Fatal("the bodies are taken already")
	}
	for range fit {
		go create(one, 1)
	}
	for range fit {
		<-h.entered
	}
	var e Error
	if w := call(one, 1, "POST", "/v1/bottles", document); w.Code != http.StatusServiceUnavailable || json.Unmarshal(w.Body.Bytes(), &e) != nil || e.Message != errTooMuch.message {
		t.Errorf("the document over the bound: %d %s", w.Code, w.Body)
	}
	go create(other, 2)
	<-h.entered

	close(h.leave)
	for range maxAnswers + 5 + 2 + fit + 1 {
		if w := <-answers; w.Code != http.StatusOK || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	one.bodies.Release(before)
	if !one.answers.TryAcquire(maxAnswers) || !one.bodies.TryAcquire(maxBodies) {
		t.Error("not all of the share came back")
	}

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := one.answer(gone); !errors.Is(err, errTooMuch) {
		t.Errorf("who has gone got %v", err)
	}
}

func TestArray(t *testing.T) {
	for _, list := range []array[Bottle]{{}, {{ID: "a"}}, {{ID: "a", Command: []string{"<&>"}}, {ID: "b"}}} {
		w := httptest.NewRecorder()
		list.ServeHTTP(w, nil)
		var got []Bottle
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got == nil || len(got) != len(list) {
			t.Errorf("%s: %v", w.Body, err)
		}
	}
}

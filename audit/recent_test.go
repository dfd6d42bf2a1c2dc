package audit

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

func paths(events []Event) (list []string) {
	for _, e := range events {
		list = append(list, e.Bottle+e.Path.String())
	}
	return list
}

// Each user reads their own bottles' events alone; only "" reads all.
func TestRecentShowsWhatTheFilterTakes(t *testing.T) {
	var r Recent
	for i, e := range []Event{
		{Bottle: "a", Owner: "1", Verdict: Allow}, {Bottle: "a", Owner: "1"}, {Bottle: "b", Owner: "2"}, {Bottle: "c", Owner: "1"}, {},
	} {
		e.Path = PathOf(fmt.Sprintf("/%d", i))
		r.Record(e)
	}
	for _, c := range []struct {
		filter Filter
		want   string
	}{
		{Filter{}, "[a/0 a/1 b/2 c/3 /4]"},
		{Filter{Owner: "1"}, "[a/0 a/1 c/3]"},
		{Filter{Owner: "1", Denied: true}, "[a/1 c/3]"},
		{Filter{Owner: "1", Bottle: "b"}, "[]"},
		{Filter{Bottle: "b"}, "[b/2]"},
		{Filter{Owner: "3"}, "[]"},
	} {
		reader := r.Reader(c.filter)
		events, lost := reader.Next()
		if got := fmt.Sprint(paths(events)); got != c.want || lost != 0 {
			t.Errorf("%+v: %s, %d lost; want %s", c.filter, got, lost, c.want)
		}
		if again, _ := reader.Next(); len(again) != 0 {
			t.Errorf("%+v: twice: %v", c.filter, paths(again))
		}
	}
}

// A reader that does not keep up is told how much it missed, and what is allowed
// does not push out what was denied.
func TestRecentCountsWhatAReaderMissed(t *testing.T) {
	var r Recent
	r.Record(Event{Bottle: "a", Path: PathOf("/denied")})
	reader := r.Reader(Filter{Bottle: "a"})
	reader.Next()
	for range RecentEvents + 10 {
		r.Record(Event{Bottle: "a", Verdict: Allow})
	}
	reader.Next()
	for range RecentEvents + 10 {
		r.Record(Event{Bottle: "a", Verdict: Allow})
	}
	if events, lost := reader.Next(); len(events) != RecentEvents || lost != 10 {
		t.Errorf("%d events, %d lost", len(events), lost)
	}
	if events, lost := r.Reader(Filter{Denied: true}).Next(); fmt.Sprint(paths(events)) != "[a/denied]" || lost != 0 {
		t.Errorf("%v, %d lost", paths(events), lost)
	}
}

func TestRecentWakesItsReaders(t *testing.T) {
	var r Recent
	reader := r.Reader(Filter{Bottle: "a"})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := reader.Wait(ctx); err == nil {
		t.Error("woken by nothing")
	}
	go r.Record(Event{Bottle: "a"})
	for {
		if err := reader.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if events, _ := reader.Next(); len(events) == 1 {
			return
		}
	}
}

// Somebody who makes many bottles pushes out their own events and no one else's.
func TestRecentIsBoundedAndFair(t *testing.T) {
	var r Recent
	r.Record(Event{Bottle: "mine", Owner: "1"})
	for i := range recentRings + 64 {
		r.Record(Event{Bottle: fmt.Sprint("b", i), Owner: "2"})
	}
	if len(r.rings) != recentRings {
		t.Errorf("%d lists", len(r.rings))
	}
	if events, _ := r.Reader(Filter{Owner: "1"}).Next(); len(events) != 1 {
		t.Errorf("the quiet user has %d events", len(events))
	}
}

// Long events of one user's bottles stay within the bound, and push out no one else's; a
// reader gets them bit by bit, in order.
func TestRecentBoundsItsMemory(t *testing.T) {
	var r Recent
	r.Record(Event{Bottle: "mine", Owner: "1"})
	long := PathOf("/" + strings.Repeat("x", maxText-1))
	const bottles = recentBytes * 5 / 4 / (RecentEvents * 2 * maxText)
	for i := range bottles {
		for range RecentEvents {
			r.Record(Event{Bottle: fmt.Sprint("b", i), Owner: "2", Path: long, Detail: long.s, Time: time.Unix(int64(r.seq), 0)})
		}
	}
	bytes := 0
	for _, ring := range r.rings {
		for _, e := range ring.events {
			bytes += e.event.bytes()
		}
	}
	if bytes != r.bytes || bytes > recentBytes || bytes < recentBytes/2 {
		t.Errorf("%d bytes are held and %d counted", bytes, r.bytes)
	}
	if events, _ := r.Reader(Filter{Owner: "1"}).Next(); len(events) != 1 {
		t.Errorf("the quiet user has %d events", len(events))
	}
	reader, n, last := r.Reader(Filter{Owner: "2"}), 0, time.Time{}
	for {
		events, lost := reader.Next()
		if len(events) > readerBatch || lost > 0 {
			t.Fatalf("%d events at a time, %d lost", len(events), lost)
		}
		for _, e := range events {
			if e.Time.Before(last) {
				t.Fatal("not in order")
			}
			last = e.Time
		}
		if n += len(events); len(events) == 0 {
			break
		}
	}
	if kept := len(r.rings) - 1; n != kept*RecentEvents || kept >= bottles {
		t.Errorf("%d events of %d bottles", n, kept)
	}
}

func TestRecentIsCleanAndConcurrent(t *testing.T) {
	var r Recent
	reader, n := r.Reader(Filter{}), uint64(0)
	r.Record(Event{Bottle: "a"})
	reader.Next() // from here on what is missed is counted
	go func() {
		for range 2000 {
			r.Record(Event{Bottle: "a", Authority: "user:secret@host"})
		}
	}()
	for n < 2000 {
		if err := reader.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		events, lost := reader.Next()
		for _, e := range events {
			if e.Authority != "host" {
				t.Fatalf("%q", e.Authority)
			}
		}
		n += lost + uint64(len(events))
	}
}

package dlp

import (
	"bytes"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// FuzzScan holds that nothing panics, that a gate passes bodies untouched or not
// whole, and that no way to cut a body changes what is found in it as it is.
func FuzzScan(f *testing.F) {
	e := mustEngine(f, Options{Secrets: []Secret{{Name: "canary", Value: ownCanary}}})
	for _, enc := range encoders {
		f.Add([]byte(enc.encode(ruleCanary)), "", "", 7)
		f.Add([]byte(`{"a":["`+enc.encode(ownCanary)+`"]}`), "application/json", "", 3)
	}
	f.Add(gz([]byte(document)), "text/plain", "gzip", 100)
	f.Add(br(gz([]byte(document))), "text/plain", "gzip, br", 1)
	f.Add([]byte("--B\r\n\r\nx\r\n--B--"), "multipart/form-data; boundary=B", "", 2)
	f.Fuzz(func(t *testing.T, body []byte, kind, encoding string, n int) {
		if n < 1 {
			n = 1
		}
		s := e.Scan("")
		s.Field(Header, "content-type", kind)
		s.Field(Query, "", encoding)
		g := NewGate(s, chunks{bytes.NewReader(body), n}, BodyOptions{Type: kind, Encoding: encoding})
		got, err := io.ReadAll(g)
		g.Close()
		v := s.Close()
		if err == nil && (!v.Allowed() || !bytes.Equal(got, body)) {
			t.Fatalf("passed, but: %v, %d of %d bytes", v, len(got), len(body))
		}
		if err != nil && len(got) > 0 && len(got) == len(body) {
			t.Fatalf("stopped after its last byte: %v", err)
		}
		if strings.Contains(string(got), ownCanary) {
			t.Fatal("the canary got through")
		}
		if len(s.open) > 0 {
			t.Fatalf("%d streams left open", len(s.open))
		}
	})
}

// TestMemory feeds a long body that keeps every part of the scanner busy, and holds
// that what it keeps does not grow.
func TestMemory(t *testing.T) {
	e := canaryEngine(t)
	plain := strings.ReplaceAll(document, ruleCanary, "")
	unit := []byte(`{"a":"` + encoders[1].encode(plain) + `","\u0062":"` + encoders[9].encode(plain[:99]) + `",` + string(gz([]byte(plain))) + "}\n")
	s := e.Scan("")
	defer s.Close()
	b := s.Body(BodyOptions{Type: "application/json"})
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	feed := func(n int) {
		for ; n > 0; n -= len(unit) {
			if _, err := b.Write(unit); err != nil {
				t.Fatal(err)
			}
		}
	}
	feed(1 << 20)
	before := heap()
	more := 24 << 20
	if raceEnabled {
		more /= 3
	}
	feed(more)
	after := heap()
	t.Logf("kept after 1 MiB: %d KiB, after %d MiB more: %d KiB", before>>10, more>>20, after>>10)
	if after-before > 4<<20 {
		t.Errorf("grew by %d KiB", (after-before)>>10)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestGoroutines holds that decompressors end with their scan, whatever state they
// are in.
func TestGoroutines(t *testing.T) {
	e := canaryEngine(t)
	before := runtime.NumGoroutine()
	for range 50 {
		s := e.Scan("")
		b := s.Body(BodyOptions{Encoding: "gzip"})
		b.Write(gz([]byte(document))[:50])
		s.Close()
		s = e.Scan("")
		b = s.Body(BodyOptions{})
		b.Write(append(gz([]byte(document))[:50], zl([]byte(document))[:50]...))
		b.sync(false)
		s.Close()
	}
	if after := runtime.NumGoroutine(); after > before+2 {
		t.Errorf("%d goroutines before, %d after", before, after)
	}
}

func TestConcurrentScans(t *testing.T) {
	e := canaryEngine(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for k := range 20 {
				body := strings.Repeat("text ", 1000*(i+1))
				want := Pass
				if k%2 == 0 {
					body, want = body+encoders[(i+k)%len(encoders)].encode(ruleCanary), Blocked
				}
				if v := scanBody(e, body, 1000, BodyOptions{}); v.Action != want {
					t.Errorf("%v, want %v", v, want)
				}
			}
		})
	}
	wg.Wait()
}

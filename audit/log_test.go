package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// writer is a destination that can be held up and can fail.
type writer struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	fail bool
	gate chan struct{} // nil lets everything through
}

func (w *writer) Write(p []byte) (int, error) {
	if w.gate != nil {
		<-w.gate
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail {
		return 0, errors.New("disk full")
	}
	return w.buf.Write(p)
}

func (w *writer) Close() error { return nil }

func (w *writer) setFail(fail bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fail = fail
}

func (w *writer) len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.Len()
}

// events reads the lines back.
func events(t *testing.T, log []byte) []Event {
	t.Helper()
	var all []Event
	for line := range bytes.Lines(log) {
		var l link
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all = append(all, l.Event)
	}
	return all
}

func closeLog(t *testing.T, l *Log) Head {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	head, err := l.Close(ctx)
	if err != nil {
		t.Fatalf("Close: %v", err)
	}
	return head
}

func TestLog(t *testing.T) {
	w := &writer{}
	l := newLog(w, logOptions{})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 100 {
				l.Record(Event{Bottle: fmt.Sprint(i, "-", j)})
			}
		})
	}
	wg.Wait()
	head := closeLog(t, l)
	if l.Dropped() != 0 || head.Seq != 800 || len(events(t, w.buf.Bytes())) != 800 {
		t.Errorf("dropped %d, head %d", l.Dropped(), head.Seq)
	}
	if got, err := Verify(&w.buf, From(Head{})); err != nil || got != head {
		t.Errorf("Verify = %+v, %v; Close said %+v", got, err, head)
	}
	l.Record(Event{})
	if l.Dropped() != 1 {
		t.Error("an event after Close is not counted")
	}
	if again := closeLog(t, l); again != head {
		t.Error("a second Close says something else")
	}
}

// TestNeverBlocks holds the writer up: Record returns, counts, and says so afterwards.
func TestNeverBlocks(t *testing.T) {
	w := &writer{gate: make(chan struct{})}
	l := newLog(w, logOptions{Queue: 10})
	start := time.Now()
	const n = 10000
	for range n {
		l.Record(Event{Verdict: Allow})
	}
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("%d events took %v while nobody wrote", n, d)
	}
	dropped := l.Dropped()
	if dropped < n-1000 || dropped >= n {
		t.Errorf("dropped %d of %d with a queue of 10 and one batch in hand", dropped, n)
	}
	close(w.gate)
	closeLog(t, l)
	var written, lost uint64
	for _, e := range events(t, w.buf.Bytes()) {
		if e.Kind == Dropped {
			lost += e.Count
			if e.Verdict != Deny || e.Time.IsZero() {
				t.Errorf("%+v", e)
			}
		} else {
			written++
		}
	}
	if lost != dropped || written+lost != n {
		t.Errorf("%d written and %d on record as lost; %d recorded, %d dropped", written, lost, n, dropped)
	}
	if _, err := Verify(&w.buf, From(Head{})); err != nil {
		t.Error(err)
	}
}

// TestOneOwnerLeavesRoom: events of one user that nobody writes down fast enough are
// lost, and none of another's, nor of the daemon's own.
func TestOneOwnerLeavesRoom(t *testing.T) {
	w := &writer{gate: make(chan struct{})}
	l := newLog(w, logOptions{Queue: 64})
	for range 10000 {
		l.Record(Event{Owner: "1001"})
	}
	dropped := l.Dropped()
	if dropped == 0 {
		t.Fatal("the control: none of the many was lost")
	}
	const few = 8
	for range few {
		l.Record(Event{Owner: "1002"})
		l.Record(Event{})
	}
	if more := l.Dropped() - dropped; more > 0 {
		t.Errorf("%d of the few were lost", more)
	}
	close(w.gate)
	closeLog(t, l)
	by := make(map[string]int)
	for _, e := range events(t, w.buf.Bytes()) {
		if e.Kind != Dropped {
			by[e.Owner]++
		}
	}
	if by["1002"] != few || by[""] != few || by["1001"] < few || len(l.waits) > 0 {
		t.Errorf("written %v, still said to wait %v", by, l.waits)
	}
}

// TestWriterFails fills the disk for a while: the chain holds and the loss is on record.
func TestWriterFails(t *testing.T) {
	w := &writer{}
	l := newLog(w, logOptions{})
	record := func(n int, fail bool) {
		w.setFail(fail)
		before, total := w.len(), l.Dropped()
		for range n {
			l.Record(Event{})
		}
		deadline := time.Now().Add(5 * time.Second)
		for (!fail && w.len() == before || fail && l.Dropped() < total+uint64(n)) && time.Now().Before(deadline) {
			time.Sleep(time.Millisecond)
		}
	}
	record(1, false)
	record(5, true)
	record(1, false)
	closeLog(t, l)
	var lost uint64
	for _, e := range events(t, w.buf.Bytes()) {
		lost += e.Count
	}
	if lost != 5 || l.Dropped() != 5 {
		t.Errorf("%d on record, %d counted; 5 were lost", lost, l.Dropped())
	}
	if head, err := Verify(&w.buf, From(Head{})); err != nil || head.Seq != 3 {
		t.Errorf("%+v, %v", head, err)
	}
}

func TestCloseWithContext(t *testing.T) {
	w := &writer{gate: make(chan struct{})}
	l := newLog(w, logOptions{})
	l.Record(Event{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := l.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	close(w.gate)
	closeLog(t, l)
}

func TestVerify(t *testing.T) {
	w := &writer{}
	l := newLog(w, logOptions{})
	for i := range 5 {
		l.Record(Event{Bottle: fmt.Sprint("b", i)})
	}
	head := closeLog(t, l)
	lines := strings.SplitAfter(strings.TrimSuffix(w.buf.String(), "\n"), "\n")
	lines[4] += "\n"
	join := strings.Join
	for name, tt := range map[string]struct {
		log   string
		start Start
		want  string
	}{
		"whole":            {join(lines, ""), From(Head{}), ""},
		"empty":            {"", From(Head{}), ""},
		"rotated":          {join(lines[2:], ""), Any, ""},
		"rotated, unknown": {join(lines[2:], ""), From(Head{}), "line 1 (seq 3)"},
		"changed":          {strings.Replace(join(lines, ""), `"b1"`, `"b9"`, 1), From(Head{}), "line 3 (seq 3)"},
		"changed verdict":  {strings.Replace(join(lines, ""), `"deny"`, `"allow"`, 1), From(Head{}), "line 2 (seq 2)"},
		"removed":          {join(lines[:2], "") + join(lines[3:], ""), From(Head{}), "line 3 (seq 4)"},
		"swapped":          {lines[0] + lines[2] + lines[1] + lines[3], From(Head{}), "line 2 (seq 3)"},
		"twice":            {lines[0] + lines[0], From(Head{}), "line 2 (seq 1)"},
		"inserted":         {lines[0] + "{}\n" + lines[1], From(Head{}), "line 2: not a line"},
		"blank":            {lines[0] + "\n" + lines[1], From(Head{}), "line 2: not a line"},
		"cut off":          {strings.TrimSuffix(join(lines, ""), "\n"), From(Head{}), "line 5: cut off"},
		"seq 0":            {`{"seq":0,"prev":"` + Hash{}.String() + `"}` + "\n", Any, "line 1: not a line"},
		"long line":        {lines[0] + strings.Repeat("x", maxLine+1), From(Head{}), "line 2: longer"},
		"bad hash":         {`{"seq":1,"prev":"00"}` + "\n", Any, "line 1: not a line"},
	} {
		got, err := Verify(strings.NewReader(tt.log), tt.start)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v; want %q", name, err, tt.want)
		}
		if name == "whole" && got != head {
			t.Errorf("head %+v; want %+v", got, head)
		}
	}
	if _, err := Verify(io.MultiReader(strings.NewReader(lines[0]), errReader{}), From(Head{})); err == nil {
		t.Error("a read error is no error")
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("i/o error") }

// verifyFiles verifies all the files of a log, one after the other.
func verifyFiles(t *testing.T, path string, start Start) Head {
	t.Helper()
	files, err := Files(path)
	if err != nil {
		t.Fatal(err)
	}
	var head Head
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		head, err = Verify(f, start)
		f.Close()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		start = From(head)
	}
	return head
}

func TestOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	var head Head
	for i := range 3 {
		l, err := Open(path, FileOptions{})
		if err != nil {
			t.Fatal(err)
		}
		l.Record(Event{Generation: uint64(i)})
		head = closeLog(t, l)
	}
	if got := verifyFiles(t, path, From(Head{})); got != head || got.Seq != 3 {
		t.Errorf("head %+v; want %+v", got, head)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "no", "dir"), FileOptions{}); err == nil {
		t.Error("a directory that is not there")
	}
}

func TestTorn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	write := func(s string) {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteString(s)
		f.Close()
	}
	open := func() {
		l, err := Open(path, FileOptions{})
		if err != nil {
			t.Fatal(err)
		}
		l.Record(Event{Bottle: "b"})
		closeLog(t, l)
	}
	write(`{"seq":1,"prev":"00`) // torn in the very first line
	open()
	write(`{"seq":3,`)
	open()
	if head := verifyFiles(t, path, From(Head{})); head.Seq != 4 {
		t.Errorf("head %+v", head)
	}
	log, _ := os.ReadFile(path)
	all := events(t, log)
	if all[0].Kind != Torn || all[0].Count != 19 || all[2].Kind != Torn || all[2].Count != 9 || all[3].Bottle != "b" {
		t.Errorf("%+v", all)
	}
	for name, s := range map[string]string{"text": "hello\n", "no end": strings.Repeat("x", 3*maxLine)} {
		os.Remove(path)
		write(s)
		if _, err := Open(path, FileOptions{}); err == nil || !strings.Contains(err.Error(), "move it away") {
			t.Errorf("%s: %v", name, err)
		}
		if b, _ := os.ReadFile(path); string(b) != s {
			t.Errorf("%s: the file was changed", name)
		}
	}
}

func TestRotate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "audit.log")
	o := FileOptions{Size: batch, Keep: 2, Queue: 1 << 16}
	for range 3 {
		l, err := Open(path, o)
		if err != nil {
			t.Fatal(err)
		}
		for range 2000 {
			l.Record(Event{Detail: strings.Repeat("d", 100)})
		}
		closeLog(t, l)
		if l.Dropped() != 0 {
			t.Fatalf("dropped %d", l.Dropped())
		}
	}
	files, err := Files(path)
	if err != nil || len(files) != 3 || files[2] != path || files[0] != path+".2" {
		t.Fatalf("files %q, %v", files, err)
	}
	var sum int64
	for _, name := range files {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		sum += info.Size()
	}
	if most := int64(3) * (batch + maxLine); sum > most {
		t.Errorf("%d bytes on disk; the bound is %d", sum, most)
	}
	if head := verifyFiles(t, path, Any); head.Seq != 6000 {
		t.Errorf("head %+v", head)
	}
	// The newest file is gone, as after a crash in the middle of a rotation: the chain goes on.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	l, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	l.Record(Event{})
	closeLog(t, l)
	verifyFiles(t, path, Any)
}

func TestMulti(t *testing.T) {
	var got []string
	sink := func(name string) Sink { return SinkFunc(func(e Event) { got = append(got, name+e.Bottle) }) }
	Multi(sink("a"), Discard, sink("b")).Record(Event{Bottle: "1"})
	if strings.Join(got, " ") != "a1 b1" {
		t.Errorf("%q", got)
	}
}

func BenchmarkRecord(b *testing.B) {
	l := newLog(&nowhere{}, logOptions{Queue: 1 << 16})
	e := full()
	for b.Loop() {
		l.Record(e)
	}
	closeBench(b, l)
}

func BenchmarkAppend(b *testing.B) {
	e, buf, head := full(), make([]byte, 0, maxLine), Head{}
	for b.Loop() {
		_, head, _ = head.append(buf, e)
	}
}

func closeBench(b *testing.B, l *Log) {
	if _, err := l.Close(context.Background()); err != nil {
		b.Error(err)
	}
}

type nowhere struct{}

func (*nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (*nowhere) Close() error                { return nil }

// A log with its older files takes no more than was asked for.
func TestWithin(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	o := Within(LeastSize)
	o.Queue = LeastSize * 2048
	l, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	for range o.Queue {
		l.Record(Event{Detail: strings.Repeat("d", 1000)})
	}
	closeLog(t, l)
	files, err := Files(path)
	if err != nil || len(files) != LeastSize {
		t.Errorf("files %q, %v", files, err)
	}
	var sum int64
	for _, name := range files {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		sum += info.Size()
	}
	if sum > LeastSize<<20 || sum < (LeastSize-1)<<20-LeastSize*batch {
		t.Errorf("%d bytes on disk", sum)
	}
	if DefaultSize != 320 || Within(0).Size != 0 || Within(MostSize).Size <= 0 {
		t.Errorf("%d MiB by default, %d, %d", DefaultSize, Within(0).Size, Within(MostSize).Size)
	}
}

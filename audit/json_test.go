package audit

import (
	"encoding/json"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

// link is a line of the log as encoding/json knows it.
type link struct {
	Seq  uint64 `json:"seq"`
	Prev Hash   `json:"prev"`
	Event
}

// What is written is what encoding/json writes, for every field alone and all together.
func TestAppendJSON(t *testing.T) {
	same(t, Event{})
	same(t, full())
	of := reflect.ValueOf(full())
	for i := range of.NumField() {
		var e Event
		reflect.ValueOf(&e).Elem().Field(i).Set(of.Field(i))
		same(t, e)
	}
	for _, s := range []string{
		"a\"b", `a\b`, "a<b>&c", "a\x00b\n\r\t\b\f\x1f\x7f", "caf\u00e9", "\u2028\u2029", "\u202e", "\U0001f600", "\xff\xfe", "half \xe2\x82", "\ufffd",
		strings.Repeat("x", 5000),
	} {
		e := full()
		v := reflect.ValueOf(&e).Elem()
		for i := range v.NumField() {
			if v.Field(i).Kind() == reflect.String {
				v.Field(i).SetString(s)
			}
		}
		e.Path, e.Process.Comm = Path{s}, s
		e.OriginalDst = netip.AddrPortFrom(netip.MustParseAddr("fe80::1").WithZone(s), 1)
		same(t, e)
	}
	for _, a := range []string{"[2001:db8::1]:443", "[::ffff:192.0.2.1]:0", "0.0.0.0:0", "[fe80::1%eth0]:53"} {
		same(t, Event{Dialled: netip.MustParseAddrPort(a)})
	}
	same(t, Event{Dialled: netip.AddrPortFrom(netip.Addr{}, 5)})
	same(t, Event{Process: Process{UID: math.MaxUint32}})
	same(t, Event{
		Status: math.MinInt, BytesUp: math.MinInt64, BytesDown: math.MaxInt64, Duration: math.MinInt64, Scrubbed: -1,
		Count: math.MaxUint64, Generation: math.MaxUint64, Verdict: 7,
	})
	east := time.FixedZone("", 5*60*60+30*60)
	for _, at := range []time.Time{
		time.Date(2030, 1, 2, 3, 4, 5, 123456789, east), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2030, 1, 1, 0, 0, 0, 0, time.FixedZone("", 25*60*60)),
	} {
		same(t, Event{Time: at})
	}
}

// same holds both forms of e against encoding/json's.
func same(t *testing.T, e Event) {
	t.Helper()
	want, wrong := json.Marshal(e.clean())
	got, err := e.AppendJSON([]byte("before"))
	if (err != nil) != (wrong != nil) || err == nil && string(got) != "before"+string(want) {
		t.Errorf("%s, %v\nwant %s, %v", got, err, want, wrong)
	}
	want, wrong = json.Marshal(link{math.MaxUint64, Hash{1, 0xab}, e})
	got, err = e.appendLine(nil, math.MaxUint64, Hash{1, 0xab})
	if (err != nil) != (wrong != nil) || err == nil && string(got) != string(want) {
		t.Errorf("%s, %v\nwant %s, %v", got, err, want, wrong)
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	e, buf := full(), make([]byte, 0, 4096)
	for b.Loop() {
		buf, _ = e.AppendJSON(buf[:0])
	}
}

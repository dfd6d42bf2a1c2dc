package audit

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// full is an event with every field set.
func full() Event {
	return Event{
		Time: time.Date(2030, 1, 2, 3, 4, 5, 6e6, time.UTC), Kind: Request, Bottle: "b1", Owner: "ann", Generation: 3, RequestID: "r-1",
		Process: Process{PID: 42, Comm: "curl", UID: 1000}, Protocol: "h2",
		OriginalDst: netip.MustParseAddrPort("198.18.1.0:443"), Dialled: netip.MustParseAddrPort("203.0.113.1:443"),
		Scheme: "https", SNI: "api.example.com", Authority: "api.example.com", Method: "GET", Path: PathOf("/v1/x"),
		Verdict: Allow, Reason: "allowed", Route: "*.example.com", Rule: "r", Where: "body", Fingerprint: "f", Detail: "all is well",
		Status: 200, BytesUp: 1, BytesDown: 2, Duration: time.Second, Injected: true, Scrubbed: 1, Sealed: true, Count: 1,
	}
}

func TestEventJSON(t *testing.T) {
	e := full()
	for i := range reflect.TypeFor[Event]().NumField() {
		if reflect.ValueOf(e).Field(i).IsZero() {
			t.Fatalf("full leaves %s empty", reflect.TypeFor[Event]().Field(i).Name)
		}
	}
	const want = `{"time":"2030-01-02T03:04:05.006Z","kind":"request","bottle":"b1","owner":"ann","generation":3,"request_id":"r-1",` +
		`"process":{"pid":42,"comm":"curl","uid":1000},"protocol":"h2","original_dst":"198.18.1.0:443","dialled":"203.0.113.1:443",` +
		`"scheme":"https","sni":"api.example.com","authority":"api.example.com","method":"GET","path":"/v1/x",` +
		`"verdict":"allow","reason":"allowed","route":"*.example.com","rule":"r","detail":"all is well",` +
		`"where":"body","fingerprint":"f","status":200,"bytes_up":1,"bytes_down":2,"duration_ns":1000000000,"injected":true,"scrubbed":1,"sealed":true,"count":1}`
	b, err := json.Marshal(e)
	if err != nil || string(b) != want {
		t.Errorf("%s, %v\nwant %s", b, err, want)
	}
	var back Event
	if err := json.Unmarshal(b, &back); err != nil || back != e {
		t.Errorf("read back: %+v, %v", back, err)
	}
	if b, _ := json.Marshal(Event{}); string(b) != `{"time":"0001-01-01T00:00:00Z","verdict":"deny"}` {
		t.Errorf("the zero event is %s", b)
	}
}

func TestVerdict(t *testing.T) {
	for v := range 256 {
		if got := Verdict(v).String(); (got == "allow") != (Verdict(v) == Allow) || got != "allow" && got != "deny" {
			t.Errorf("%d is %s", v, got)
		}
	}
	for _, s := range []string{"", "deny", "ALLOW", "allow ", "permit"} {
		v := Allow
		if err := v.UnmarshalText([]byte(s)); err != nil || v != Deny {
			t.Errorf("%q reads as %v, %v", s, v, err)
		}
	}
}

// TestNoFieldForSecrets lists what an event is made of. A new field has to be thought about
// here: it may not hold what a peer sent as a header, a query, a body or an error.
func TestNoFieldForSecrets(t *testing.T) {
	harmless := map[reflect.Type]bool{
		reflect.TypeFor[time.Time](): true, reflect.TypeFor[time.Duration](): true, reflect.TypeFor[netip.AddrPort](): true,
		reflect.TypeFor[Path](): true, reflect.TypeFor[Verdict](): true, reflect.TypeFor[Kind](): true,
		reflect.TypeFor[int](): true, reflect.TypeFor[int64](): true, reflect.TypeFor[uint32](): true, reflect.TypeFor[uint64](): true, reflect.TypeFor[bool](): true,
	}
	// Names and codes, each bounded; the type of none says more than that.
	names := "Bottle Owner RequestID Protocol Scheme SNI Authority Method Reason Route Rule Where Fingerprint Detail Comm"
	var walk func(t *testing.T, of reflect.Type)
	walk = func(t *testing.T, of reflect.Type) {
		for i := range of.NumField() {
			f := of.Field(i)
			switch {
			case harmless[f.Type]:
			case f.Type == reflect.TypeFor[Process]():
				walk(t, f.Type)
			case f.Type.Kind() == reflect.String && strings.Contains(" "+names+" ", " "+f.Name+" "):
			default:
				t.Errorf("%s %s: can it hold a secret?", f.Name, f.Type)
			}
		}
	}
	walk(t, reflect.TypeFor[Event]())
	if p := reflect.TypeFor[Path](); p.NumField() != 1 || p.Field(0).IsExported() {
		t.Error("a Path can be made without PathOf")
	}
}

func TestPathOf(t *testing.T) {
	for in, want := range map[string]string{
		"/a/b":                       "/a/b",
		"/a?key=TOK":                 "/a",
		"/a#TOK":                     "/a",
		"/a#x?TOK":                   "/a",
		"/?TOK":                      "/",
		"?TOK":                       "",
		"*":                          "*",
		"":                           "",
		"https://u:TOK@h/p?TOK":      "/p",
		"http://u:TOK@h":             "/",
		"u:TOK@h:443":                "",
		"TOK":                        "",
		"/redirect/http://h/x?u=TOK": "/redirect/http://h/x",
		"/a%3Fb":                     "/a%3Fb",
	} {
		if got := PathOf(in).String(); got != want {
			t.Errorf("PathOf(%q) = %q; want %q", in, got, want)
		}
	}
	var p Path
	if err := json.Unmarshal([]byte(`"/a?TOK"`), &p); err != nil || p.String() != "/a" {
		t.Errorf("from JSON: %v, %v", p, err)
	}
}

func TestClean(t *testing.T) {
	long := strings.Repeat("é", 5000)
	e := Event{
		Kind: Kind(long), Bottle: long, Owner: long, RequestID: long, Process: Process{Comm: long}, Protocol: long, Scheme: long, SNI: long,
		Authority: "user:TOK@" + long, Method: long, Path: PathOf("/" + long), Reason: long, Route: long, Rule: long, Where: long, Fingerprint: long, Detail: long + "\xff",
	}
	line, _, err := Head{}.append(nil, e)
	if err != nil || len(line) > maxLine || strings.Contains(string(line), "TOK") || !utf8.Valid(line) {
		t.Errorf("%d bytes, %v", len(line), err)
	}
	worst := strings.Repeat("\x01", maxText)
	e = Event{
		Kind: Kind(worst), Bottle: worst, Owner: worst, RequestID: worst, Process: Process{Comm: worst}, Protocol: worst, Scheme: worst, SNI: worst,
		Authority: worst, Method: worst, Path: PathOf("/" + worst), Reason: worst, Route: worst, Rule: worst, Where: worst, Fingerprint: worst, Detail: worst,
	}
	if line, _, _ := (Head{}).append(nil, e); len(line) > maxLine {
		t.Errorf("a line of %d bytes; maxLine is %d", len(line), maxLine)
	}
	if got := cut("abc", 3); got != "abc" {
		t.Errorf("cut at its length: %q", got)
	}
}

func TestLine(t *testing.T) {
	e := full()
	e.Time = time.Date(2030, 1, 2, 3, 4, 5, 6e6, time.Local)
	const want = `03:04:05.006 allow b1 request GET https://api.example.com/v1/x 200 count=1 allowed by=curl[42] id=r-1 – all is well`
	if got := e.Line(); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if got := (Event{}).Line(); !strings.HasSuffix(got, " deny ") {
		t.Errorf("the zero event: %q", got)
	}
	hostile := []string{
		"a\nb", "a\rb", "\x1b[2J", "\x1b]0;title\a", "\u202egnp.exe", "\u2066x\u2069", "\u200b", "\ufeff", "\x00", "\x7f", "\u0085", "\u009b31m",
		"a b", "\u2028", "\u3000", "e\u0301\u0301", "\xff\xfe", "\U000e0041", "\\n", "\u00ad",
	}
	for _, s := range hostile {
		e := Event{Verdict: Deny, Bottle: s, SNI: s, Method: s, Authority: s, Path: PathOf("/" + s), Reason: s, Process: Process{PID: 1, Comm: s}, RequestID: s, Detail: s, Kind: Kind(s)}
		line := e.Line()
		for _, r := range line {
			if r != ' ' && (!unicode.IsGraphic(r) || unicode.IsSpace(r) || unicode.In(r, unicode.Cf, unicode.Cc, unicode.Mn, unicode.Bidi_Control)) {
				t.Errorf("%q puts %U on the screen: %q", s, r, line)
			}
		}
		if head, _, _ := strings.Cut(line, " – "); strings.Count(head, " ") > 10 {
			t.Errorf("%q forges a column: %q", s, line)
		}
	}
	if a, b := (Event{Bottle: "\n"}).Line(), (Event{Bottle: `\n`}).Line(); a == b {
		t.Error("a newline and a backslash with n look the same")
	}
}

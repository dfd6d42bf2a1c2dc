package audit

import (
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"strconv"
	"time"
)

// AppendJSON appends e as it is recorded, with every string within its bound, in the form
// that [json.Marshal] has for it, which is five times as slow: every request is written
// twice, by its enforcer and into the log. The error is that of a time which JSON cannot
// say; what is appended is of no use then.
func (e Event) AppendJSON(b []byte) ([]byte, error) {
	e = e.clean()
	o := object{b: append(b, '{')}
	o.event(&e)
	return append(o.b, '}'), o.err
}

// appendLine appends e as a line of the log, without its newline.
func (e Event) appendLine(b []byte, seq uint64, prev Hash) ([]byte, error) {
	o := object{b: append(b, '{')}
	o.unsigned("seq", seq)
	o.key("prev")
	o.b = append(hex.AppendEncode(append(o.b, '"'), prev[:]), '"')
	o.event(&e)
	return append(o.b, '}'), o.err
}

// object is one of JSON on its way. Members that are zero are left out.
type object struct {
	b   []byte
	err error
}

// event writes the members of an event, in the order of its fields.
func (o *object) event(e *Event) {
	o.time("time", e.Time)
	o.text("kind", string(e.Kind))
	o.text("bottle", e.Bottle)
	o.text("owner", e.Owner)
	o.unsigned("generation", e.Generation)
	o.text("request_id", e.RequestID)
	o.process("process", e.Process)
	o.text("protocol", e.Protocol)
	o.address("original_dst", e.OriginalDst)
	o.address("dialled", e.Dialled)
	o.text("scheme", e.Scheme)
	o.text("sni", e.SNI)
	o.text("authority", e.Authority)
	o.text("method", e.Method)
	o.text("path", e.Path.s)
	o.text("verdict", e.Verdict.String())
	o.text("reason", e.Reason)
	o.text("route", e.Route)
	o.text("rule", e.Rule)
	o.text("detail", e.Detail)
	o.text("where", e.Where)
	o.text("fingerprint", e.Fingerprint)
	o.number("status", int64(e.Status))
	o.number("bytes_up", e.BytesUp)
	o.number("bytes_down", e.BytesDown)
	o.number("duration_ns", int64(e.Duration))
	o.flag("injected", e.Injected)
	o.number("scrubbed", int64(e.Scrubbed))
	o.flag("sealed", e.Sealed)
	o.unsigned("count", e.Count)
}

func (o *object) key(name string) {
	if o.b[len(o.b)-1] != '{' {
		o.b = append(o.b, ',')
	}
	o.b = append(append(append(o.b, '"'), name...), `":`...)
}

func (o *object) text(name, s string) {
	if s != "" {
		o.key(name)
		o.b = appendString(o.b, s)
	}
}

func (o *object) number(name string, n int64) {
	if n != 0 {
		o.key(name)
		o.b = strconv.AppendInt(o.b, n, 10)
	}
}

func (o *object) unsigned(name string, n uint64) {
	if n != 0 {
		o.key(name)
		o.b = strconv.AppendUint(o.b, n, 10)
	}
}

func (o *object) flag(name string, yes bool) {
	if yes {
		o.key(name)
		o.b = append(o.b, "true"...)
	}
}

// time is there also where it is zero.
func (o *object) time(name string, t time.Time) {
	o.key(name)
	text, err := t.AppendText(append(o.b, '"'))
	if err != nil {
		o.err = err
		return
	}
	o.b = append(text, '"')
}

func (o *object) address(name string, a netip.AddrPort) {
	if a != (netip.AddrPort{}) {
		o.key(name)
		var space [64]byte
		text, _ := a.AppendText(space[:0]) // there is no error
		o.b = appendString(o.b, text)
	}
}

func (o *object) process(name string, p Process) {
	if p == (Process{}) {
		return
	}
	o.key(name)
	o.b = append(o.b, '{')
	o.number("pid", int64(p.PID))
	o.text("comm", p.Comm)
	o.key("uid")
	o.b = append(strconv.AppendUint(o.b, uint64(p.UID), 10), '}')
}

// appendString appends s as a string of JSON. What has to be escaped takes the long way.
func appendString[T string | []byte](b []byte, s T) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ', c > '~', c == '"', c == '\\', c == '<', c == '>', c == '&':
			long, _ := json.Marshal(string(s)) // every string is one of JSON's
			return append(b, long...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

package dlp

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
)

var redacting = Options{Secrets: []Secret{{"own", ownCanary}}, Modes: map[string]Mode{"github-pat": Redact, "private-key": Redact, "flyio-access-token": Redact}}

// outgoing returns what leaves of a body.
func outgoing(e *Engine, r io.Reader, o BodyOptions) (string, Verdict, error) {
	s := e.Scan("")
	out := s.Outgoing(r, o)
	got, err := io.ReadAll(out)
	if c, ok := out.(io.Closer); ok {
		c.Close()
	}
	return string(got), s.Close(), err
}

// form makes a multipart body of alternating part headers and contents.
func parts(boundary string, texts ...string) string {
	var b strings.Builder
	for i := 0; i < len(texts); i += 2 {
		fmt.Fprintf(&b, "--%s\r\n%s\r\n\r\n%s\r\n", boundary, texts[i], texts[i+1])
	}
	return b.String() + "--" + boundary + "--\r\n"
}

const (
	jsonType = "application/json; charset=utf-8"
	urlForm  = "application/x-www-form-urlencoded"
	mpType   = "multipart/form-data; boundary=b0undary"
	field1   = `Content-Disposition: form-data; name="a"`
)

var pem = "-----BEGIN RSA PRIVATE KEY-----\n" + strings.Repeat("MIIEpAIBAAKCAQEA3Tz2mr7SZiAMfQyuvBjM9Oi5Z1sXkQwErTyUiOpAsDfGhJk\n", 4) + "-----END RSA PRIVATE KEY-----\n"

// TestRedactor holds that what leaves is as long as what came, means the same but for
// what was found, and does not hold that in any encoding.
func TestRedactor(t *testing.T) {
	e := mustEngine(t, redacting)
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	escaped := `\u0067hp_` + ruleCanary[4:]
	stars := func(s string) string { return strings.Repeat("*", len(s)) }
	for name, tc := range map[string]struct{ kind, body, want string }{
		"JSON":               {jsonType, `{"a":"` + ruleCanary + `","b":[1,"x"]}`, `{"a":"` + stars(ruleCanary) + `","b":[1,"x"]}`},
		"JSON, in a text":    {jsonType, `{"a":"see ` + ruleCanary + `, yes"}`, `{"a":"see ` + stars(ruleCanary) + `, yes"}`},
		"JSON, key":          {jsonType, `{"` + ruleCanary + `":1}`, `{"` + stars(ruleCanary) + `":1}`},
		"JSON, twice":        {jsonType, `["` + ruleCanary + `","` + ruleCanary + `"]`, `["` + stars(ruleCanary) + `","` + stars(ruleCanary) + `"]`},
		"JSON, base64":       {jsonType, `{"a":"` + b64("see "+ruleCanary) + `","b":"stays"}`, `{"a":"` + stars(b64("see "+ruleCanary)) + `","b":"stays"}`},
		"JSON, escapes":      {jsonType, `{"a":"` + escaped + `","b":"stays"}`, `{"a":"` + stars(escaped) + `","b":"stays"}`},
		"JSON, beside one":   {jsonType, `{"a":"` + ruleCanary + `\n\"stays\""}`, `{"a":"` + stars(ruleCanary+`\n\"stays\"`) + `"}`},
		"JSON, hex in gzip":  {jsonType, `{"a":"` + b64(string(gz([]byte("x "+ruleCanary)))) + `"}`, `{"a":"` + stars(b64(string(gz([]byte("x "+ruleCanary))))) + `"}`},
		"JSON, no type":      {"", `{"a":"` + b64("see "+ruleCanary) + `"}`, `{"a":"` + stars(b64("see "+ruleCanary)) + `"}`},
		"NDJSON":             {"application/x-ndjson", `{"a":"` + ruleCanary + "\"}\n{}\n", `{"a":"` + stars(ruleCanary) + "\"}\n{}\n"},
		"form":               {urlForm, "a=1&b=" + ruleCanary + "&c=2", "a=1&b=" + stars(ruleCanary) + "&c=2"},
		"form, percent":      {urlForm, "a=1&b=%67hp_" + ruleCanary[4:] + "&c=2", "a=1&b=" + stars("%67hp_"+ruleCanary[4:]) + "&c=2"},
		"form, in a text":    {urlForm, "a=see+" + ruleCanary + "&c=2", "a=" + stars("see+"+ruleCanary) + "&c=2"},
		"form, base64":       {urlForm, "a=" + strings.TrimRight(b64("see it "+ruleCanary), "=") + "&c=2", "a=" + stars(strings.TrimRight(b64("see it "+ruleCanary), "=")) + "&c=2"},
		"multipart":          {mpType, parts("b0undary", field1, "see "+ruleCanary, field1, "x"), parts("b0undary", field1, "see "+stars(ruleCanary), field1, "x")},
		"multipart, no type": {"multipart/mixed", parts("b0undary", field1, ruleCanary), parts("b0undary", field1, stars(ruleCanary))},
		"multipart, name": {mpType, parts("b0undary", field1+`; filename="`+ruleCanary+`.txt"`, "x"),
			parts("b0undary", field1+`; filename="`+stars(ruleCanary)+`.txt"`, "x")},
		"multipart, base64": {mpType, parts("b0undary", field1, b64("see "+ruleCanary), field1, "x"), parts("b0undary", field1, stars(b64("see "+ruleCanary)), field1, "x")},
		"multipart, encoded part": {mpType, parts("b0undary", field1+"\r\nContent-Transfer-Encoding: base64", b64("see it "+ruleCanary), field1, "x"),
			parts("b0undary", field1+"\r\nContent-Transfer-Encoding: base64", stars(b64("see it "+ruleCanary)), field1, "x")},
		"multipart, JSON": {mpType, parts("b0undary", field1+"\r\nContent-Type: application/json", `{"a":"`+b64("see "+ruleCanary)+`","b":"x"}`),
			parts("b0undary", field1+"\r\nContent-Type: application/json", `{"a":"`+stars(b64("see "+ruleCanary))+`","b":"x"}`)},
		"multipart in multipart": {mpType, parts("b0undary", "Content-Type: multipart/mixed; boundary=other", parts("other", field1, ruleCanary)),
			parts("b0undary", "Content-Type: multipart/mixed; boundary=other", parts("other", field1, stars(ruleCanary)))},
		"text":         {"text/plain", "key: " + ruleCanary + ".", "key: " + stars(ruleCanary) + "."},
		"text, base64": {"text/plain", "key: " + b64("see "+ruleCanary) + ", yes", "key: " + stars(b64("see "+ruleCanary)) + ", yes"},
		"binary":       {"application/octet-stream", "\xff\x00\x01 " + ruleCanary + "\xfe", "\xff\x00\x01 " + stars(ruleCanary) + "\xfe"},
		"nothing":      {jsonType, `{"a":"b"}`, `{"a":"b"}`},
	} {
		for how, r := range map[string]io.Reader{"at once": strings.NewReader(tc.body), "by byte": iotest.OneByteReader(strings.NewReader(tc.body))} {
			got, v, err := outgoing(e, r, BodyOptions{Type: tc.kind, Interactive: how == "by byte" && whole(tc.kind)})
			want := Redacted
			if name == "nothing" {
				want = Pass
			}
			if err != nil || got != tc.want || v.Action != want {
				t.Errorf("%s, %s: %v, %v\ngot  %q\nwant %q", name, how, err, v, got, tc.want)
			}
		}
		valid(t, name, tc.kind, tc.want)
		if again := scanBody(mustEngine(t, Options{}), tc.want, 0, BodyOptions{Type: tc.kind}); again.Action != Pass {
			t.Errorf("%s: still there: %v", name, again)
		}
	}
}

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// valid holds that what left is still what it is declared to be.
func valid(t *testing.T, name, kind, body string) {
	t.Helper()
	switch media, params, _ := mime.ParseMediaType(kind); {
	case media == "application/json":
		if !json.Valid([]byte(body)) {
			t.Errorf("%s: not JSON: %s", name, body)
		}
	case media == urlForm:
		if _, err := url.ParseQuery(body); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	case params["boundary"] != "":
		m := multipart.NewReader(strings.NewReader(body), params["boundary"])
		for {
			p, err := m.NextRawPart()
			if err == io.EOF {
				return
			}
			if err == nil {
				_, err = io.Copy(io.Discard, p)
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
}

// What cannot be overwritten and stay what it is does not leave.
func TestRedactorRefuses(t *testing.T) {
	e := mustEngine(t, redacting)
	half, rest := ruleCanary[:17], ruleCanary[17:]
	long := strings.Repeat("padding ", 200_000)
	for name, tc := range map[string]struct {
		o    BodyOptions
		body string
	}{
		"own token":                 {BodyOptions{Type: jsonType}, `{"a":"` + ownCanary + `"}`},
		"a key, found by its start": {BodyOptions{Type: "text/plain"}, pem},
		"a token of any length":     {BodyOptions{Type: jsonType}, `{"a":"fm2_` + strings.TrimRight(base64.StdEncoding.EncodeToString(noise(1800)), "=") + `"}`},
		"a key in JSON":             {BodyOptions{Type: jsonType}, `{"a":` + quoted(pem) + `}`},
		"beside another":            {BodyOptions{Type: jsonType}, `{"a":"` + ownCanary + `","b":"` + ruleCanary + `"}`},
		"split over JSON":           {BodyOptions{Type: jsonType}, `["` + half + `","` + rest + `"]`},
		"split, and one whole":      {BodyOptions{Type: jsonType}, `["` + half + `","` + rest + `","` + ruleCanary + `"]`},
		"split over a form":         {BodyOptions{Type: urlForm}, "a=" + half + "&b=" + rest},
		"split over parts":          {BodyOptions{Type: mpType}, parts("b0undary", field1, half, field1, rest)},
		"outside of strings":        {BodyOptions{Type: jsonType}, `{"a":` + ruleCanary + `}`},
		"a string without end":      {BodyOptions{Type: jsonType}, `{"a":"` + ruleCanary},
		"in a preamble":             {BodyOptions{Type: mpType}, ruleCanary + "\r\n" + parts("b0undary", field1, "x")},
		"in base64 over lines":      {BodyOptions{Type: "text/plain"}, wrap(encoders[1].encode("a line of it "+ruleCanary), 24, "\n")},
		"in a compressed body":      {BodyOptions{Type: jsonType, Encoding: "gzip"}, string(gz([]byte(`{"a":"` + ruleCanary + `"}`)))},
		"compressed in binary":      {BodyOptions{Type: "application/octet-stream"}, "\xff\xfe" + string(gz([]byte(strings.Repeat("some words ", 50)+ruleCanary)))},
		"in a compressed part":      {BodyOptions{Type: mpType}, parts("b0undary", field1, string(gz([]byte(strings.Repeat("some words ", 50)+ruleCanary))))},
		"in JSON that is too long":  {BodyOptions{Type: jsonType}, `{"p":"` + long + `","a":"` + ruleCanary + `"}`},
		"in a conversation of JSON": {BodyOptions{Type: "application/grpc+json", Interactive: true}, `{"a":"` + ruleCanary + `"}`},
		"boundary":                  {BodyOptions{Type: "multipart/mixed; boundary=" + ruleCanary}, parts(ruleCanary, field1, "x")},
		"name of a part's header":   {BodyOptions{Type: mpType}, parts("b0undary", ruleCanary+": 1", "x") + ruleCanary},
	} {
		got, v, err := outgoing(e, strings.NewReader(tc.body), tc.o)
		if err == nil || v.Action != Blocked || strings.Contains(got, ruleCanary) || strings.Contains(got, ownCanary) {
			t.Errorf("%s: %v, %v, %d bytes left", name, err, v, len(got))
		}
	}
}

// What is in the header counts when the body is judged again, and what was overwritten
// does not.
func TestRedactorJoins(t *testing.T) {
	e := mustEngine(t, redacting)
	for name, tc := range map[string]struct {
		header, body, trailer string
		want                  Action
	}{
		"header and body":            {ruleCanary[:17], `["` + ruleCanary[17:] + `"]`, "", Blocked},
		"header and body, and whole": {ruleCanary[:17], `["` + ruleCanary[17:] + `","` + ruleCanary + `"]`, "", Blocked},
		"body and trailer":           {"x1", `["` + ruleCanary + `","` + ruleCanary[:17] + `"]`, ruleCanary[17:], Blocked},
		"whole in all":               {ruleCanary, `["` + ruleCanary + `"]`, ruleCanary, Redacted},
	} {
		s := e.Scan("")
		s.Field(Header, "x-note", tc.header)
		trailer := tc.trailer
		got, err := io.ReadAll(s.Outgoing(strings.NewReader(tc.body), BodyOptions{Type: jsonType, Trailer: func() { trailer = s.Field(Trailer, "x-end", trailer) }}))
		if v := s.Close(); v.Action != tc.want || (err == nil) != (tc.want == Redacted) || strings.Contains(string(got)+trailer, ruleCanary) {
			t.Errorf("%s: %v, %v, %q", name, v, err, got)
		}
	}
}

// An encoded match in a header is overwritten with the word around it.
func TestRedactHeader(t *testing.T) {
	e := mustEngine(t, redacting)
	word := base64.StdEncoding.EncodeToString([]byte("user:" + ruleCanary))
	s := e.Scan("")
	if got := s.Field(Header, "authorization", "Basic "+word); got != "Basic "+strings.Repeat("*", len(word)) || s.Err() != nil {
		t.Errorf("%q, %v", got, s.Err())
	}
	if v := s.Close(); v.Action != Redacted {
		t.Errorf("%v", v)
	}
	for _, value := range []string{ownCanary, base64.StdEncoding.EncodeToString([]byte("user:" + ownCanary)), wrap(word, 24, " ")} {
		s := e.Scan("")
		if s.Field(Header, "authorization", value); s.Close().Action != Blocked {
			t.Errorf("%q passes", value)
		}
	}
}

// Of whatever body, what leaves is judged clean by an engine that blocks.
func FuzzRedactor(f *testing.F) {
	for _, s := range []string{`{"a":"` + ruleCanary + `"}`, "a=%67hp_" + ruleCanary[4:], parts("b", field1, ruleCanary), `["` + ruleCanary + `\`, "--\r\n\r\n" + ruleCanary} {
		f.Add(jsonType, s)
		f.Add(urlForm, s)
		f.Add("multipart/form-data; boundary=b", s)
	}
	loose, tight := mustEngine(f, redacting), mustEngine(f, Options{Secrets: redacting.Secrets})
	f.Fuzz(func(t *testing.T, kind, body string) {
		got, v, err := outgoing(loose, strings.NewReader(body), BodyOptions{Type: kind})
		if err != nil {
			return
		}
		if len(got) != len(body) || v.Action == Pass && got != body {
			t.Errorf("%q became %q", body, got)
		}
		if again := scanBody(tight, got, 0, BodyOptions{Type: kind}); again.Action == Blocked {
			t.Errorf("%q left as %q: %v", body, got, again)
		}
		if json.Valid([]byte(body)) && strings.HasPrefix(kind, "application/json") && !json.Valid([]byte(got)) {
			t.Errorf("%q became %q, which is no JSON", body, got)
		}
		if bytes.Equal([]byte(got), nil) && body != "" {
			t.Errorf("nothing left of %q", body)
		}
	})
}

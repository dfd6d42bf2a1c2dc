package api

import (
	"encoding/json"
	"reflect"
	"testing"
)

// FuzzDecode reads bodies as the server does. What it accepts says the same when it
// is written and read again, and to the standard reader.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"manifest":"version: 1","command":["true"],"dir":"/tmp"}`,
		`{"manifest":"version: 1","Manifest":"version: 2"}`,
		`{"manifest":"a","manifest":"b"}`,
		`{"user":{"uid":0,"gid":0}}`,
		`{"tokens":{"A":"x","A":"y"}}`,
		`{"command":[null]}`,
		`{} {}`,
		`[[[[[[[[[[`,
		"\xff{}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var r CreateRequest
		if decode(body, &r) != nil {
			return
		}
		var standard CreateRequest
		if err := json.Unmarshal(body, &standard); err != nil || !reflect.DeepEqual(r, standard) {
			t.Fatalf("read as %+v, by encoding/json as %+v, %v", r, standard, err)
		}
		if r.Command == nil {
			r.Command = []string{} // null is refused, and would be written
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var again CreateRequest
		if err := decode(text, &again); err != nil {
			t.Fatalf("%s is not read again: %v", text, err)
		}
		written, err := json.Marshal(again)
		if err != nil || string(written) != string(text) {
			t.Fatalf("%s is read again as %s, %v", text, written, err)
		}
	})
}

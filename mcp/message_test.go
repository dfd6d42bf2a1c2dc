package mcp

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

const good = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"n":1.50,"s":"<&>\u0041"}}}`

func TestMessageIsWrittenAnew(t *testing.T) {
	m, err := parseMessage([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":1,"jsonrpc":"2.0","method":"tools/call","params":{"arguments":{"n":1.50,"s":"<&>A"},"name":"a"}}` + "\n"
	if string(m.text) != want || m.method != "tools/call" || m.id != json.Number("1") {
		t.Errorf("%q %v\n%s", m.method, m.id, m.text)
	}
}

func TestMessageIsStrict(t *testing.T) {
	deep := func(n int) string {
		return `{"jsonrpc":"2.0","id":1,"method":"m","params":` + strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) + "}"
	}
	for name, text := range map[string]string{
		"notification":   `{"jsonrpc":"2.0","method":"m"}`,
		"id a string":    `{"jsonrpc":"2.0","id":"x","method":"m"}`,
		"id negative":    `{"jsonrpc":"2.0","id":-1,"method":"m"}`,
		"deep":           deep(maxDepth - 1),
		"keys of others": `{"jsonrpc":"2.0","id":1,"method":"m","params":{"__proto__":{},"a":null,"b":[true,false]}}`,
		"white space":    " {\"jsonrpc\" : \"2.0\" ,\n \"method\":\"m\"}\r\n",
	} {
		if _, err := parseMessage([]byte(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"empty":                 "",
		"not JSON":              "{",
		"two messages":          good + good,
		"something after":       good + "]",
		"comma":                 `{"jsonrpc":"2.0","method":"m",}`,
		"comment":               `{"jsonrpc":"2.0","method":"m"/**/}`,
		"single quotes":         `{'jsonrpc':'2.0','method':'m'}`,
		"not UTF-8":             "{\"jsonrpc\":\"2.0\",\"method\":\"m\xff\"}",
		"byte order mark":       "\ufeff" + good,
		"raw control":           "{\"jsonrpc\":\"2.0\",\"method\":\"m\x00\"}",
		"batch":                 "[" + good + "]",
		"null":                  "null",
		"no version":            `{"id":1,"method":"m"}`,
		"version 1":             `{"jsonrpc":"1.0","id":1,"method":"m"}`,
		"version a number":      `{"jsonrpc":2.0,"id":1,"method":"m"}`,
		"no method":             `{"jsonrpc":"2.0","id":1}`,
		"empty method":          `{"jsonrpc":"2.0","id":1,"method":""}`,
		"method a list":         `{"jsonrpc":"2.0","id":1,"method":["m"]}`,
		"method in upper case":  `{"jsonrpc":"2.0","id":1,"METHOD":"m"}`,
		"method twice":          `{"jsonrpc":"2.0","id":1,"method":"m","method":"n"}`,
		"method in two cases":   `{"jsonrpc":"2.0","id":1,"method":"m","Method":"n"}`,
		"method escaped twice":  `{"jsonrpc":"2.0","id":1,"method":"m","\u006dethod":"n"}`,
		"Kelvin sign":           `{"jsonrpc":"2.0","id":1,"method":"m","params":{"k":1,"\u212a":2}}`,
		"long s":                `{"jsonrpc":"2.0","id":1,"method":"m","params":{"reason":1,"rea\u017fon":2}}`,
		"argument twice":        `{"jsonrpc":"2.0","id":1,"method":"m","params":{"arguments":{"host":"a","host":"b"}}}`,
		"argument in two cases": `{"jsonrpc":"2.0","id":1,"method":"m","params":{"arguments":{"host":"a","HOST":"b"}}}`,
		"twice in a list":       `{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":[{"x":1,"x":2}]}}`,
		"half surrogates":       `{"jsonrpc":"2.0","id":1,"method":"m","params":{"\ud800":1,"\ud801":2}}`,
		"unknown key":           `{"jsonrpc":"2.0","id":1,"method":"m","auth":"x"}`,
		"response":              `{"jsonrpc":"2.0","id":1,"result":{}}`,
		"request and response":  `{"jsonrpc":"2.0","id":1,"method":"m","result":{}}`,
		"id null":               `{"jsonrpc":"2.0","id":null,"method":"m"}`,
		"id empty":              `{"jsonrpc":"2.0","id":"","method":"m"}`,
		"id a fraction":         `{"jsonrpc":"2.0","id":1.5,"method":"m"}`,
		"id with an exponent":   `{"jsonrpc":"2.0","id":1e2,"method":"m"}`,
		"id beyond 53 bits":     `{"jsonrpc":"2.0","id":9007199254740993,"method":"m"}`,
		"id an object":          `{"jsonrpc":"2.0","id":{},"method":"m"}`,
		"id long":               `{"jsonrpc":"2.0","id":"` + strings.Repeat("x", 129) + `","method":"m"}`,
		"params a list":         `{"jsonrpc":"2.0","id":1,"method":"m","params":[]}`,
		"params null":           `{"jsonrpc":"2.0","id":1,"method":"m","params":null}`,
		"too deep":              deep(maxDepth + 1),
		"far too deep":          deep(20000),
	} {
		m, err := parseMessage([]byte(text))
		if err == nil {
			t.Errorf("%s: taken as %s", name, m.text)
		}
		if _, ok := err.(*refused); err != nil && !ok {
			t.Errorf("%s: %T", name, err)
		}
	}
}

// What was taken reads the same for a parser that folds case and lets the last of
// two keys win, before and after it was written anew.
func FuzzMessage(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte(`{"jsonrpc":"2.0","id":"x","method":"m","Method":"n"}`))
	f.Add([]byte(`{"jsonrpc":"2.0","id":-0,"method":"m","params":{"a":[{"x":1e999}]}}`))
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"method":"\u2028\ud800"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := parseMessage(text)
		if err != nil {
			return
		}
		again, err := parseMessage(m.text)
		if err != nil || !bytes.Equal(again.text, m.text) || again.id != m.id || again.method != m.method {
			t.Fatalf("%s\n%s\n%v", m.text, again.text, err)
		}
		if len(m.text) > 2*len(text)+1 {
			t.Fatalf("%d bytes became %d", len(text), len(m.text))
		}
		type lenient struct {
			ID, Method, Params any
		}
		var before, after lenient
		if json.Unmarshal(text, &before) != nil {
			return // a number beyond float64, which the SDK refuses as well
		}
		if err := json.Unmarshal(m.text, &after); err != nil || !reflect.DeepEqual(before, after) || after.Method != m.method {
			t.Fatalf("%+v\n%+v\n%v", before, after, err)
		}
	})
}

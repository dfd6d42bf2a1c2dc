package secret_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"text/template"

	"bottled/secret"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"
)

// canary is the value that must not come out. Its parts are looked for too.
const canary = "tok-5up3rs3cret-canary"

func token(t testing.TB) secret.Token {
	t.Helper()
	tok, err := secret.New([]byte(canary))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// holder has tokens where printers find them: exported, not exported, behind pointers, in
// maps and slices, and embedded.
type holder struct {
	Public  secret.Token
	private secret.Token
	Pointer *secret.Token
	List    []secret.Token
	Map     map[string]secret.Token
	Any     any
}

func holders(t testing.TB) []any {
	tok := token(t)
	h := holder{tok, tok, &tok, []secret.Token{tok}, map[string]secret.Token{"k": tok}, tok}
	type embedded struct{ secret.Token }
	return []any{tok, &tok, h, &h, []any{h}, embedded{tok}, struct{ secret.Token }{tok}, fmt.Errorf("wrapped: %v", tok), tok.Reveal, &h.private}
}

// leaked reports whether s holds the canary in one of the ways that printers spell bytes.
func leaked(s string) bool {
	hexed := fmt.Sprintf("%x", canary)
	decimal := strings.Trim(fmt.Sprint([]byte(canary)), "[]")
	for _, form := range []string{canary, "5up3rs3cret", hexed, strings.ToUpper(hexed), decimal, strings.ReplaceAll(decimal, " ", ", ")} {
		if strings.Contains(s, form) {
			return true
		}
	}
	return false
}

func TestPrinters(t *testing.T) {
	for _, v := range holders(t) {
		for _, verb := range "vsqxXdobBcUeEfFgGtTpw" {
			for _, flags := range []string{"", "+", "#", " ", "-", "0", "+#", "# ", "20", ".3", "+#20.20"} {
				format := "%" + flags + string(verb)
				if s := fmt.Sprintf(format, v); leaked(s) {
					t.Errorf("%s of %T: %s", format, v, s)
				}
			}
		}
		if s := fmt.Sprint(v) + fmt.Sprintln(v); leaked(s) {
			t.Errorf("Sprint of %T: %s", v, s)
		}
	}
	if got := fmt.Sprintf("%v %+v %#v %s %q %x", token(t), token(t), token(t), token(t), token(t), token(t)); got != strings.TrimSpace(strings.Repeat("[secret] ", 6)) {
		t.Errorf("a token prints as %s", got)
	}
}

func TestMarshallers(t *testing.T) {
	marshallers := map[string]func(any) ([]byte, error){
		"JSON": json.Marshal,
		"YAML": yaml.Marshal,
		"XML":  xml.Marshal,
		"gob": func(v any) ([]byte, error) {
			var buf bytes.Buffer
			err := gob.NewEncoder(&buf).Encode(v)
			return buf.Bytes(), err
		},
	}
	for name, marshal := range marshallers {
		for _, v := range holders(t) {
			out, err := guard(marshal, v)
			if leaked(string(out)) || err != nil && leaked(err.Error()) {
				t.Errorf("%s of %T: %s, %v", name, v, out, err)
			}
			if _, ok := v.(secret.Token); ok && err == nil {
				t.Errorf("%s of a token: no error, but %s", name, out)
			}
		}
	}
	if out, err := token(t).MarshalText(); err == nil || len(out) > 0 {
		t.Errorf("text: %s, %v", out, err)
	}
	if out, err := token(t).MarshalBinary(); err == nil || len(out) > 0 {
		t.Errorf("binary: %s, %v", out, err)
	}
}

// guard makes an error of the panic with which some packages meet a function or an
// anonymous type.
func guard(marshal func(any) ([]byte, error), v any) (out []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return marshal(v)
}

func TestLoggers(t *testing.T) {
	for _, v := range holders(t) {
		var buf bytes.Buffer
		for _, h := range []slog.Handler{slog.NewTextHandler(&buf, nil), slog.NewJSONHandler(&buf, nil)} {
			slog.New(h).With("with", v).WithGroup("g").Info("m", "key", v, slog.Group("in", "v", v))
		}
		template.Must(template.New("").Parse("{{.}} {{printf `%+v` .}}")).Execute(&buf, v)
		if leaked(buf.String()) {
			t.Errorf("%T: %s", v, buf.String())
		}
	}
	var buf bytes.Buffer
	slog.New(slog.NewTextHandler(&buf, nil)).Info("m", "token", token(t))
	if !strings.Contains(buf.String(), "token=[secret]") {
		t.Errorf("slog: %s", buf.String())
	}
}

// TestComparison: what compares tokens by accident gets no for an answer, or does not compile
// (==, and a token as a map key: Token is not comparable).
func TestComparison(t *testing.T) {
	tok := token(t)
	if reflect.TypeFor[secret.Token]().Comparable() {
		t.Error("tokens compare with ==")
	}
	if reflect.DeepEqual(tok, tok) || reflect.DeepEqual(token(t), token(t)) {
		t.Error("reflect.DeepEqual compares tokens")
	}
	func() {
		defer func() {
			if p := recover(); p == nil || leaked(fmt.Sprint(p)) {
				t.Errorf("cmp.Diff: %v", p)
			}
		}()
		cmp.Diff(tok, token(t))
	}()
	all := cmp.Exporter(func(reflect.Type) bool { return true })
	if s := cmp.Diff(holder{Public: tok, private: tok}, holder{}, all); leaked(s) {
		t.Errorf("cmp.Diff of unexported fields: %s", s)
	}
}

// TestReflection walks everything that reflection reaches from a token, through unexported
// fields too.
func TestReflection(t *testing.T) {
	var walk func(v reflect.Value, depth int)
	walk = func(v reflect.Value, depth int) {
		if depth > 10 {
			return
		}
		switch v.Kind() {
		case reflect.String:
			if leaked(v.String()) {
				t.Error("reflection reaches the value as a string")
			}
		case reflect.Slice, reflect.Array:
			for i := range v.Len() {
				walk(v.Index(i), depth+1)
			}
		case reflect.Struct:
			for i := range v.NumField() {
				walk(v.Field(i), depth+1)
			}
		case reflect.Pointer, reflect.Interface:
			if !v.IsNil() {
				walk(v.Elem(), depth+1)
			}
		case reflect.Func: // cannot be looked into, nor called when it is unexported
			if v.CanInterface() {
				t.Error("reflection may call the function")
			}
		}
	}
	walk(reflect.ValueOf(token(t)), 0)
}

func TestNew(t *testing.T) {
	for name, tt := range map[string]struct {
		in  string
		err error
	}{
		"plain":        {"abc", nil},
		"spaces":       {" a b ", nil},
		"bytes":        {"\xff\t\x01", nil},
		"longest":      {strings.Repeat("x", secret.MaxSize), nil},
		"empty":        {"", secret.ErrEmpty},
		"CR":           {"a\rb", secret.ErrControl},
		"LF":           {"a\n", secret.ErrControl},
		"NUL":          {"\x00", secret.ErrControl},
		"too long":     {strings.Repeat("x", secret.MaxSize+1), secret.ErrTooLong},
		"CRLF smuggle": {canary + "\r\nHost: evil", secret.ErrControl},
	} {
		tok, err := secret.New([]byte(tt.in))
		if !errors.Is(err, tt.err) || err == nil && tok.Reveal() != tt.in || tok.IsZero() != (err != nil) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && leaked(err.Error()) {
			t.Errorf("%s: the error holds the value: %v", name, err)
		}
	}
	if _, err := secret.New(nil); err == nil || err.Error() != "will not inject an empty token" {
		t.Errorf("empty: %v", err)
	}
	in := []byte(canary)
	tok, _ := secret.New(in)
	clear(in)
	if tok.Reveal() != canary {
		t.Error("the token is not a copy")
	}
	var zero secret.Token
	if !zero.IsZero() || zero.Reveal() != "" || fmt.Sprint(zero) != "[secret]" {
		t.Error("the zero token")
	}
}

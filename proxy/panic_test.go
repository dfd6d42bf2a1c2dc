package proxy_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"bottled/proxy"
	"bottled/routes"
)

// faulty is a Scanner with a fault: it panics in the middle of a body.
type faulty struct{ passing }

func (f *faulty) Scan(routes.Query, *routes.Route, http.Header) (proxy.Scan, *proxy.Blocked) {
	return f, nil
}

func (*faulty) Body(src io.Reader, _ int64, _ func() http.Header) io.Reader {
	return io.MultiReader(io.LimitReader(src, 4), faultyReader{})
}

type faultyReader struct{}

func (faultyReader) Read([]byte) (int, error) { panic("a fault in the scanner") }

// A fault in what judges a body ends that request, whoever reads the body, and the upstream
// does not take what it has for the whole.
func TestFaultInBody(t *testing.T) {
	w := newWorld(t, bareAPI, func(_ *world, c *proxy.Config) { c.Scanner = new(faulty) })
	whole := make(chan bool, 1)
	w.upstream(func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		whole <- err == nil
	}, "api.example.com")
	for name, change := range map[string]func(*http.Request){
		"h1": nil, "h1 with Expect": func(r *http.Request) { r.Header.Set("Expect", "100-continue") },
		"h1 with a trailer": func(r *http.Request) { r.Trailer = http.Header{"X-Sum": {"1"}} }, "h2": nil,
	} {
		before := w.server.Stats().Panics
		req, _ := http.NewRequest("POST", "https://api.example.com/", io.MultiReader(strings.NewReader("some text")))
		if change != nil {
			change(req)
		}
		resp, err := w.client(name == "h2").Do(req)
		if err == nil {
			resp.Body.Close()
		}
		if err == nil && resp.StatusCode < 500 || <-whole || w.server.Stats().Panics == before {
			t.Errorf("%s: %v, %v, %+v", name, resp, err, w.server.Stats())
		}
	}
	w.upstream(func(http.ResponseWriter, *http.Request) {}, "api.example.com")
	if resp, _ := w.get(w.client(true), "https://api.example.com/"); resp.StatusCode != http.StatusOK {
		t.Error(resp.Status)
	}
}

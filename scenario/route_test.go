package scenario

import "testing"

func TestFirst(t *testing.T) {
	w := newWorld(t)
	up := w.https(t, "api.example.com", greet)
	r := w.run(t, bottle{manifest: w.only("api.example.com")}, "curl", "-sS", "https://api.example.com/", "https://other.example.com/")
	t.Log(r)
	t.Logf("%+v", up.Requests())
	t.Log(w.names.Asked())
}

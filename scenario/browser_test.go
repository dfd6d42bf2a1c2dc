package scenario

import (
	"strings"
	"testing"
)

// A browser brings a sandbox of its own, for which a manifest opens user namespaces.
const ownSandbox = "bottle: {user_namespaces: true}\n"

func TestChromium(t *testing.T) {
	w := newWorld(t)
	up, other := w.https(t, "www.example.com", greet), w.https(t, "other.example.com", greet)
	b := bottle{manifest: w.only("www.example.com") + ownSandbox}
	// It has its own sandbox, its own trust store and its own resolver, and asks much by itself.
	const open = "chromium --headless --disable-gpu --user-data-dir=$HOME/profile --timeout=20000 --dump-dom "
	if r := w.sh(t, b, open+"https://www.example.com/"); !r.ok(greeting) || len(up.Requests()) == 0 {
		t.Errorf("%v", r)
	}
	if r := w.sh(t, b, open+"https://other.example.com/"); !strings.Contains(r.stdout, "host-not-allowed") || other.Opened() != 0 {
		t.Errorf("denied: %v", r)
	}
	for _, name := range w.names.Asked() {
		if name != "www.example.com" {
			t.Errorf("the name server outside was asked for %q", name)
		}
	}
}

// nested tries from a user and network namespace of its own what that makes root of.
const nested = `
import os, socket
def attempt(name, f):
    try: f(); print(name, "WORKS")
    except OSError as e: print(name, "fails:", e.strerror)
attempt("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
attempt("packet", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3))
attempt("tcp", lambda: socket.create_connection(("other.example.com", 443), 3))
def udp():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b"x", ("127.0.0.1", 9))
attempt("udp", udp)
print("uid", os.getuid())`

// TestUserNamespacesOpenNoWall: root of a namespace of one's own is nobody here.
func TestUserNamespacesOpenNoWall(t *testing.T) {
	w := newWorld(t)
	other := w.https(t, "other.example.com", greet)
	dir := workDir(t, map[string]string{"nested.py": nested})
	argv := []string{"-rn", "sh", "-c", "ip link set lo up; exec /usr/bin/python3 nested.py"}
	inside := w.run(t, bottle{dir: dir, manifest: w.only("www.example.com") + ownSandbox}, append([]string{"unshare"}, argv...)...)
	for _, what := range []string{"raw", "packet", "tcp", "udp"} {
		if strings.Contains(inside.stdout, what+" WORKS") || !strings.Contains(inside.stdout, what+" fails") {
			t.Errorf("%s: %v", what, inside)
		}
	}
	if !strings.Contains(inside.stdout, "uid 0") || other.Opened() != 0 {
		t.Errorf("%v", inside)
	}
	// The control: the same outside.
	argv[len(argv)-1] = "ip link set lo up; cd " + dir + "; exec /usr/bin/python3 nested.py"
	outside := execute(t, nil, "", "unshare", argv...)
	for _, what := range []string{"raw", "packet", "udp"} {
		if !strings.Contains(outside.stdout, what+" WORKS") {
			t.Errorf("control: %s: %v", what, outside)
		}
	}
	// And without the key there is no such namespace.
	if r := w.run(t, bottle{dir: dir, manifest: w.only("www.example.com")}, "unshare", "-r", "true"); r.code == 0 {
		t.Errorf("without the key: %v", r)
	}
}

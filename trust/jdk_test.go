package trust_test

import (
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"bottled/trust"
)

// userFS is a host of which a user made /home/u: it counts the looks at that, and has all
// that lead to /home/u/dead wait, as a file server does that is gone.
type userFS struct {
	fstest.MapFS
	looks atomic.Int64
	dead  chan struct{}
}

func (u *userFS) Lstat(name string) (fs.FileInfo, error) {
	if strings.HasPrefix(name, "home/u") {
		u.looks.Add(1)
	}
	if strings.HasPrefix(name, "home/u/dead") {
		<-u.dead
	}
	return u.MapFS.Lstat(name)
}

// TestUsersJDKs has users name places for JDKs without end. The search ends, what is laid
// over their bottles stays within bounds, and others' launches do not wait for it.
func TestUsersJDKs(t *testing.T) {
	u := &userFS{MapFS: fstest.MapFS{
		"etc/ssl/certs/ca-certificates.crt":        file(root(t, "roots")),
		"usr/lib/jvm/java-17/lib/security/cacerts": file("old"),
		"home/u/jdk/lib/security/cacerts":          file("old"),
	}, dead: make(chan struct{})}
	defer close(u.dead)
	for i := range 200 {
		u.MapFS[fmt.Sprintf("home/u/.jdks/%d/lib/security/cacerts", i)] = file("old")
	}
	u.MapFS["home/u/long"] = link(strings.Repeat("../u/", 800) + "x")
	host, a := trust.NewHost(u), authority(t)
	stores := func(env map[string]string) (n int) {
		l, err := host.Layer(a.CertPEM(), func(name string) (string, bool) { v, ok := env[name]; return v, ok })
		if err != nil {
			t.Fatal(err)
		}
		for name := range l.Files {
			if strings.HasSuffix(name, "/cacerts") {
				n++
			}
		}
		return n
	}

	if n := stores(map[string]string{"JAVA_HOME": "/home/u/jdk"}); n != 2 {
		t.Errorf("%d stores with an honest user, not the host's and theirs", n)
	}
	n := stores(map[string]string{"HOME": "/home/u", "JAVA_HOME": "/home/u/jdk", "PATH": strings.Repeat("/home/u/long:", 5_000)})
	if n > 64 {
		t.Errorf("%d stores of one user", n)
	}
	if n := u.looks.Load(); n > 100_000 {
		t.Errorf("%d looks at what the user made", n)
	}

	// Each hangs in a search of its own; more than may search at a time do.
	hung := make(chan int, 20)
	for range cap(hung) {
		go func() { hung <- stores(map[string]string{"JAVA_HOME": "/home/u/dead"}) }()
	}
	began := time.Now()
	for range cap(hung) {
		if n := <-hung; n != 1 {
			t.Errorf("%d stores with a dead file server, not the host's", n)
		}
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("waited %v for a dead file server", took)
	}
}

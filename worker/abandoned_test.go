package worker

import (
	"errors"
	"testing"
)

// A daemon that ends before, or in the middle of, the handoff of a worker leaves one that
// has nothing to say.
func TestAbandonedWorkerIsSilent(t *testing.T) {
	for name, sent := range map[string]string{"before": "", "in the middle": "\x00\x00\x00\x64{"} {
		ours, theirs, err := socketpair()
		if err != nil {
			t.Fatal(err)
		}
		conn, err := unixConn(theirs)
		theirs.Close()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ours.Write([]byte(sent)); err != nil {
			t.Fatal(err)
		}
		ours.Close()
		_, _, err = receive(conn)
		if err = answer(conn, err); !errors.Is(err, errAbandoned) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

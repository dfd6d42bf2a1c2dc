package launch

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"bottled/attack"
)

// TestAttackTwoBottles: a socket that one bottle makes where it can write is not
// there for another. The control is a second command in the same bottle.
func TestAttackTwoBottles(t *testing.T) {
	a, b := newHost(t), newHost(t)
	for name, path := range map[string]string{"/tmp": "/tmp/meet.sock", "/dev/shm": "/dev/shm/meet.sock", "the project": filepath.Join(a.dir, "meet.sock")} {
		spec := a.spec("python3", "-c", `import socket,sys
s=socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(9); open("up","w").close()
while True: c,_=s.accept(); socket.send_fds(c,[b"x"],[0])`, path)
		p, err := startBottle(t.Context(), spec, a.netns, a.cgroup, [3]*os.File{}, nil)
		must(t, err)
		up := filepath.Join(a.dir, "up")
		waitFor(t, up)
		attack.Stopped(t, "K40", "a descriptor from another bottle, over "+name,
			func(t *testing.T) error {
				exit, out := execIn(t, a, p, ExecSpec{UID: testUID, GID: testUID, Argv: []string{a.probe, path}, Env: []string{"BOTTLED_PROBE=fdpass", noSleep}})
				if exit.Status() != 0 {
					return fmt.Errorf("%s (exit %d)", out, exit.Status())
				}
				return nil
			},
			b.inside("fdpass", path))
		must(t, p.Kill())
		_, err = p.Wait()
		must(t, err)
		p.Close()
		_ = os.Remove(up)
	}
}

package scenario

import "testing"

// deadFUSE mounts what a user's file server leaves when it crashes, and executes its arguments.
const deadFUSE = `
import ctypes, os, sys
fd = os.open("/dev/fuse", os.O_RDWR)
libc = ctypes.CDLL(None, use_errno=True)
if libc.mount(b"gone", b"/srv", b"fuse.gone", 0, b"fd=%d,rootmode=40000,user_id=0,group_id=0" % fd):
    sys.exit(os.strerror(ctypes.get_errno()))
os.close(fd)
try: os.stat("/srv/x"); sys.exit("it is alive")
except OSError as e: assert e.strerror == "Transport endpoint is not connected", e
os.execvp(sys.argv[1], sys.argv[1:])`

// TestABrokenMountOfTheHostKeepsNobodyOut: one user's crashed file server is no
// reason why nobody's bottle starts.
func TestABrokenMountOfTheHostKeepsNobodyOut(t *testing.T) {
	d := startDaemon(t, []string{"unshare", "-m", "--propagation", "private", "/usr/bin/python3", "-c", deadFUSE})
	if r := d.sh(t, bottle{}, "ls -A /srv | wc -l; echo fine"); !r.ok("0\nfine") {
		t.Errorf("%v", r)
	}
}

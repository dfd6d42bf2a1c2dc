package daemon

import (
	"fmt"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// What a daemon was started with does not go on to what it starts.
func TestNothingInheritedGoesOn(t *testing.T) {
	var pipe [2]int
	if err := unix.Pipe(pipe[:]); err != nil { // without the flag, as a shell has it
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	inherits := func() bool {
		return exec.Command("test", "-e", fmt.Sprintf("/proc/self/fd/%d", pipe[0])).Run() == nil
	}
	if !inherits() {
		t.Fatal("the control: a child does not have the descriptor")
	}
	serve(t, "version: 1\n")
	if inherits() {
		t.Error("a child of the daemon has a descriptor that the daemon inherited")
	}
}

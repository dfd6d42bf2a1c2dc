package siege

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

// holderArg0 is the name under which the test binary holds an unpinned link: what a
// daemon that does not pin has.
const holderArg0 = "siege-holder"

// holderMain attaches a program to the group that its argument names, says so, and waits
// until it is killed.
func holderMain() int {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.CGroupSKB, License: "GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()},
	})
	if err == nil {
		_, err = link.AttachCgroup(link.CgroupOptions{Path: os.Args[1], Attach: ebpf.AttachCGroupInetEgress, Program: p})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "siege-holder:", err)
		return 1
	}
	fmt.Println("attached")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// hold starts a holder and returns once its link is there; kill ends it as SIGKILL does.
func hold(t testing.TB, group string) (kill func()) {
	t.Helper()
	cmd := &exec.Cmd{Path: "/proc/self/exe", Args: []string{holderArg0, group}, Stderr: os.Stderr}
	_, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	if _, err := io.ReadAtLeast(out, make([]byte, 8), 8); err != nil {
		t.Fatal(err)
	}
	return func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
}

// Package siege attacks whole bottles: a real daemon process, real enforcers, real
// init, against upstreams on the far end of a wire. It has no code of its own.
//
// The test binary plays every part, by the name under which it is executed:
//
//	siege.test       the besieger: starts and kills daemons, and watches the wire
//	siege-daemon     Manager and API as the service has them, halted at every step that
//	                 the besieger wants to look at (breakpoint_test.go)
//	bottled-worker   the enforcer, and
//	bottled-init     the first process of a bottle, as in the program itself
//	siege-agent      the program in the bottle; it does what it is told over its
//	                 standard input, and without orders it keeps trying (prober_test.go)
//
// The besieger moves into a network namespace of its own first. That namespace
// stands for the host: it has the daemon, a name server, a firewall to flush, and a
// wire to a second one, where the upstreams are and every frame is kept. Nothing
// reaches the machine's own network.
//
// On the wire there are pairs of targets. What is called "forbidden" no bottle may
// reach by any means, and nothing else ever tries: one frame to it, at any time, is
// a leak. What is called "control" is the same thing, for the controls.
//
// BOTTLED_SIEGE=long makes the numbers those of the attack catalogue.
package siege

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"bottled/bpf"
	"bottled/worker"
)

// long says whether the numbers are the whole ones, or those that fit into CI time.
var long = os.Getenv("BOTTLED_SIEGE") == "long"

// scaled is the number for CI, or the whole one.
func scaled(ci, whole int) int {
	if long {
		return whole
	}
	return ci
}

func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case worker.Arg0:
		os.Exit(worker.Main())
	case agentArg0:
		os.Exit(agentMain())
	case daemonArg0:
		os.Exit(daemonMain())
	case holderArg0:
		os.Exit(holderMain())
	case conformanceArg0:
		os.Exit(conformanceMain())
	}
	os.Exit(besiege(m))
}

// hostEnv is set once the process is in the namespace that stands for the host.
const hostEnv = "SIEGE_HOST"

func besiege(m *testing.M) int {
	if os.Getenv(hostEnv) == "" {
		runtime.LockOSThread()
		if err := secede(); err != nil {
			fmt.Fprintln(os.Stderr, "siege: needs root for namespaces of its own:", err)
			return 1
		}
		// Executed anew by this thread, every thread is in the namespaces.
		err := unix.Exec("/proc/self/exe", os.Args, append(os.Environ(), hostEnv+"=1"))
		fmt.Fprintln(os.Stderr, "siege:", err)
		return 1
	}
	w, err := newWorld()
	if err != nil {
		fmt.Fprintln(os.Stderr, "siege: the world cannot be made:", err)
		return 1
	}
	world = w
	defer w.close()
	status := m.Run()
	if leaks := w.forbiddenFrames(); len(leaks) > 0 {
		fmt.Fprintf(os.Stderr, "siege: LEAK: %d frames to a forbidden target, the first: %x\n", len(leaks), leaks[0])
		return 1
	}
	return status
}

// secede moves the thread into a network namespace, and into a mount namespace in
// which there is a BPF file system where hosts have it.
func secede() error {
	if err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if bpf.IsFS(bpf.Mounted) {
		return nil
	}
	return unix.Mount("bpf", bpf.Mounted, "bpf", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=700")
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

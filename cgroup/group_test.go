package cgroup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// place is a directory for the groups of a test.
func place(t *testing.T) string {
	t.Helper()
	base, err := Base()
	must(t, err)
	dir := filepath.Join(base, fmt.Sprintf("test-%d-%s", os.Getpid(), filepath.Base(t.Name())))
	t.Cleanup(func() {
		ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
		defer stop()
		if g, err := Open(dir); err == nil {
			must(t, errors.Join(g.Kill(ctx), g.Close()))
		}
		must(t, Remove(ctx, dir))
	})
	return dir
}

// sleepers starts processes in the group that would stay for long.
func sleepers(t *testing.T, g *Group, n int) []*exec.Cmd {
	t.Helper()
	var cmds []*exec.Cmd
	for range n {
		cmd := exec.Command("sleep", "1000")
		cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: g.FD()}
		must(t, cmd.Start())
		cmds = append(cmds, cmd)
	}
	return cmds
}

func killed(t *testing.T, cmds []*exec.Cmd) {
	t.Helper()
	for _, cmd := range cmds {
		cmd.Wait()
		if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != unix.SIGKILL {
			t.Errorf("process ended with %v", cmd.ProcessState)
		}
	}
}

func TestLife(t *testing.T) {
	dir := place(t)
	g, err := Create(filepath.Join(dir, "one", "bottle"))
	must(t, err)
	defer g.Close()
	var stat unix.Stat_t
	must(t, unix.Stat(g.Path(), &stat))
	if g.ID() != stat.Ino || g.ID() == 0 {
		t.Errorf("id %d, inode %d", g.ID(), stat.Ino)
	}
	if populated, err := g.populated(); populated || err != nil {
		t.Errorf("new: %t, %v", populated, err)
	}
	cmds := sleepers(t, g, 3)
	below, err := Create(filepath.Join(g.Path(), "below"))
	must(t, err)
	defer below.Close()
	cmds = append(cmds, sleepers(t, below, 2)...)
	if populated, err := g.populated(); !populated || err != nil {
		t.Errorf("with processes: %t, %v", populated, err)
	}
	if pids, err := g.Processes(); len(pids) != 5 || err != nil {
		t.Errorf("%v, %v", pids, err)
	}
	short, stop := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer stop()
	if err := g.waitEmpty(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for processes that stay: %v", err)
	}
	if err := Remove(short, filepath.Join(dir, "one")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("removing with processes: %v", err)
	}
	must(t, g.Kill(t.Context()))
	killed(t, cmds)
	if populated, err := g.populated(); populated || err != nil {
		t.Errorf("killed: %t, %v", populated, err)
	}
	must(t, Remove(t.Context(), filepath.Join(dir, "one")))
	must(t, Remove(t.Context(), filepath.Join(dir, "one")))
	// Of a group that is gone, everything is over.
	must(t, g.Kill(t.Context()))
	must(t, g.waitEmpty(t.Context()))
	if populated, err := g.populated(); populated || err != nil {
		t.Errorf("removed: %t, %v", populated, err)
	}
	if pids, err := g.Processes(); len(pids) != 0 || err != nil {
		t.Errorf("removed: %v, %v", pids, err)
	}
}

// Why a name is never used twice.
func TestKilledGroupTakesNobody(t *testing.T) {
	g, err := Create(filepath.Join(place(t), "bottle"))
	must(t, err)
	defer g.Close()
	must(t, g.Kill(t.Context()))
	cmd := exec.Command("true")
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: g.FD()}
	if err := cmd.Run(); err == nil {
		t.Log("this kernel lets processes into a killed group")
	}
	if _, err := Create(g.Path()); err == nil {
		t.Error("the name was used twice")
	}
}

// The way of kernels without cgroup.kill ends those that fork, too.
func TestKillEach(t *testing.T) {
	g, err := Create(filepath.Join(place(t), "bottle"))
	must(t, err)
	defer g.Close()
	cmds := sleepers(t, g, 3)
	forking := exec.Command("sh", "-c", "while :; do sleep 0.001 & done")
	forking.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: g.FD()}
	must(t, forking.Start())
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	must(t, g.killEach(ctx))
	killed(t, append(cmds, forking))
}

func TestOpenRefuses(t *testing.T) {
	if _, err := Open(t.TempDir()); err == nil {
		t.Error("opened what is no cgroup")
	}
	if _, err := Create(filepath.Join(t.TempDir(), "bottle")); err == nil {
		t.Error("created outside of cgroup2")
	}
	if _, err := Open(filepath.Join(place(t), "none")); err == nil {
		t.Error("opened what is not there")
	}
}

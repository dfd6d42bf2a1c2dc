package siege

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"bottled/netns"
)

// nothingLeft checks what daemons at this place hold on the host, against the bottles
// that are meant to live.
func nothingLeft(t testing.TB, c daemonConfig, living ...*besieged) {
	t.Helper()
	var ids []string
	var alive []uint64
	for _, b := range living {
		ids = append(ids, b.ID)
		alive = append(alive, inode(t, b.Cgroup))
	}
	var left []string
	for _, dir := range []string{c.states(), c.cgroups(), c.pins()} {
		entries, err := os.ReadDir(dir)
		if err != nil && !os.IsNotExist(err) {
			t.Error(err)
		}
		for _, b := range living { // a check that sees nothing shows nothing
			if _, err := os.Stat(filepath.Join(dir, b.ID)); err != nil {
				t.Errorf("of a bottle that lives: %v", err)
			}
		}
		for _, e := range entries {
			if e.IsDir() && !slices.Contains(ids, e.Name()) || !e.IsDir() && dir != c.cgroups() {
				left = append(left, filepath.Join(dir, e.Name()))
			}
		}
	}
	left = append(left, processesLeft(t, c, ids)...)
	left = append(left, mountsLeft(t, c)...)
	left = append(left, linksLeft(t, c, alive)...)
	left = append(left, namespacesLeft(t, c, living)...)
	if len(left) > 0 {
		t.Errorf("left behind: %s", strings.Join(left, ", "))
	}
}

// processesLeft lists the processes below the place's groups, of no living bottle.
func processesLeft(t testing.TB, c daemonConfig, ids []string) []string {
	t.Helper()
	groups, err := filepath.Glob("/proc/[0-9]*/cgroup")
	must(t, err)
	var left []string
	for _, path := range groups {
		text, err := os.ReadFile(path)
		_, below, ok := strings.Cut(string(text), "/"+c.Instance+"/")
		if err != nil || !ok {
			continue
		}
		id, _, _ := strings.Cut(below, "/")
		pid := filepath.Base(filepath.Dir(path))
		if !slices.Contains(ids, id) && !zombie(pid) {
			left = append(left, "process "+pid)
		}
	}
	return left
}

// zombie says whether a process has ended and waits for its parent.
func zombie(pid string) bool {
	text, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	return err != nil || strings.Contains(string(text), ") Z ")
}

func mountsLeft(t testing.TB, c daemonConfig) []string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	var left []string
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, c.Run) || strings.Contains(line, world.dir) {
			left = append(left, "mount "+line)
		}
	}
	return left
}

// watched guards watchedGroups, the ids of all groups of bottles that were seen, by
// instance: a halted daemon is looked at from another goroutine.
var (
	watched       sync.Mutex
	watchedGroups = map[string][]uint64{}
)

// note remembers the groups that are there now, so that links to them can be looked for
// when they are gone.
func note(t testing.TB, c daemonConfig) {
	t.Helper()
	groups, err := filepath.Glob(filepath.Join(c.cgroups(), "*", "bottle"))
	must(t, err)
	watched.Lock()
	defer watched.Unlock()
	for _, g := range groups {
		watchedGroups[c.Instance] = append(watchedGroups[c.Instance], inode(t, g))
	}
}

// linksLeft lists BPF links to groups of bottles that are gone. The kernel names a link's
// group by its id, or 0 once the group is removed.
func linksLeft(t testing.TB, c daemonConfig, alive []uint64) []string {
	t.Helper()
	watched.Lock()
	defer watched.Unlock()
	var left []string
	for _, id := range linkedGroups(t) {
		if slices.Contains(watchedGroups[c.Instance], id) && !slices.Contains(alive, id) {
			left = append(left, "BPF link to group "+strconv.FormatUint(id, 10))
		}
	}
	return left
}

// linkedGroups returns, for each BPF link to a group on the machine, the group's id.
func linkedGroups(t testing.TB) []uint64 {
	t.Helper()
	var ids []uint64
	for each := new(link.Iterator); each.Next(); {
		info, err := each.Link.Info()
		if err != nil {
			continue // gone meanwhile
		}
		if g := info.Cgroup(); g != nil {
			ids = append(ids, g.CgroupId)
		}
	}
	return ids
}

func inode(t testing.TB, path string) uint64 {
	t.Helper()
	var st syscall.Stat_t
	must(t, syscall.Stat(path, &st))
	return st.Ino
}

// hooksOn is how many links are attached to the bottle's group.
func (b *besieged) hooksOn(t testing.TB) int {
	t.Helper()
	want, n := inode(t, b.Cgroup), 0
	for _, id := range linkedGroups(t) {
		if id == want {
			n++
		}
	}
	return n
}

// watchedNamespaces are those of bottles that were seen, by instance. Inodes come back,
// cookies never do.
var watchedNamespaces = map[string]map[netns.ID]bool{}

// namespacesLeft lists namespaces of bottles that are gone, which a process still is in or
// holds open.
func namespacesLeft(t testing.TB, c daemonConfig, living []*besieged) []string {
	t.Helper()
	alive := map[uint64]bool{}
	for _, b := range living {
		alive[b.record(t).Cookie] = true
	}
	var left []string
	for _, pattern := range []string{"/proc/[0-9]*/ns/net", "/proc/[0-9]*/fd/*"} {
		links, err := filepath.Glob(pattern)
		must(t, err)
		for _, path := range links {
			var ino uint64
			if to, err := os.Readlink(path); err != nil || !scan(to, "net:[%d]", &ino) {
				continue
			}
			if strings.HasPrefix(path, fmt.Sprintf("/proc/%d/", os.Getpid())) {
				continue // what the besieger holds is its own affair
			}
			for id := range watchedNamespaces[c.Instance] {
				if id.Inode != ino || alive[id.Cookie] {
					continue
				}
				fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
				if err != nil {
					continue
				}
				if ns, err := netns.OpenFD(fd, id); err == nil {
					ns.Close()
					left = append(left, path)
				}
			}
		}
	}
	return left
}

func scan(text, format string, into ...any) bool {
	n, err := fmt.Sscanf(text, format, into...)
	return err == nil && n == len(into)
}

package bottle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"bottled/bpf"
	"bottled/cgroup"
	"bottled/netns"
)

// Feature is one thing that the host must offer, or had better.
type Feature struct {
	Name     string
	OK       bool
	Required bool
	Detail   string // what was found
	Fix      string // what to do
}

// check looks for one feature by doing, in miniature, what a bottle will need: a
// kernel that says it can and one that does are not the same.
type check struct {
	name     string
	required bool
	fix      string
	do       func(*examination) (detail string, err error)
}

// examination is what the checks share; it is released at the end.
type examination struct {
	base, cgroups, pins string
	group               *cgroup.Group
	namespace           *netns.Namespace
}

// ground is what the programs are tried on.
var ground = []check{
	{"root", true, "run as root: sudo bottled doctor", (*examination).root},
	{"cgroup v2", true, "boot with the unified hierarchy, or mount cgroup2; in a service set Delegate=yes and not ProtectControlGroups=", (*examination).makeCgroup},
	{"network namespace", true, "a service must not set RestrictNamespaces= or PrivateUsers=", (*examination).makeNamespace},
	{"nftables with tproxy", true, "load the kernel modules nf_tables, nft_tproxy, nft_reject_inet", (*examination).applyRules},
	{"transparent listeners", true, "the daemon needs CAP_NET_ADMIN", (*examination).listen},
}

var others = []check{
	{"clone into a cgroup", true, "needs clone3(2), Linux 5.7; a service must not set RestrictNamespaces=", (*examination).clone},
	{"overlay file system", true, "load the kernel module overlay", (*examination).overlay},
	{"seccomp filters", true, "needs a kernel with CONFIG_SECCOMP_FILTER", (*examination).seccomp},
	{"limits", false, "guard the host against what a bottle uses up: boot with systemd.unified_cgroup_hierarchy=1; a service needs Delegate=yes", (*examination).limit},
	{"Landlock", false, "a further wall around the enforcer: boot with lsm=landlock,…", (*examination).landlock},
}

// Doctor tells which features the host has. A bottle cannot be made where a
// required one is missing: each step of a start fails for the same reasons.
func (m *Manager) Doctor(ctx context.Context) (bool, []Feature) {
	id := "doctor-" + newID()
	x := &examination{base: m.base, cgroups: filepath.Join(m.cgroups, id), pins: filepath.Join(m.pins, id)}
	defer x.release(ctx)
	return examine(x)
}

func examine(x *examination) (bool, []Feature) {
	features := slices.Concat(x.try(ground), x.hooks(), x.try(others))
	missing := slices.ContainsFunc(features, func(f Feature) bool { return f.Required && !f.OK })
	return !missing, features
}

func (x *examination) try(checks []check) []Feature {
	var features []Feature
	for _, c := range checks {
		f := Feature{Name: c.name, Required: c.required}
		detail, err := c.do(x)
		if err != nil {
			f.Detail, f.Fix = err.Error(), c.fix
		} else {
			f.OK, f.Detail = true, detail
		}
		features = append(features, f)
	}
	return features
}

func (x *examination) release(ctx context.Context) {
	if x.group != nil {
		x.group.Close()
	}
	if x.namespace != nil {
		x.namespace.Close()
	}
	// What cannot be removed is empty, and the next start removes it.
	_ = bpf.Remove(x.pins)
	_ = cgroup.Remove(ctx, x.cgroups)
}

func (x *examination) root() (string, error) {
	if os.Geteuid() != 0 {
		return "", fmt.Errorf("running as uid %d", os.Geteuid())
	}
	return "uid 0", nil
}

func (x *examination) makeCgroup() (detail string, err error) {
	x.group, err = cgroup.Create(filepath.Join(x.cgroups, insideGroup))
	return filepath.Dir(x.cgroups), err
}

func (x *examination) makeNamespace() (detail string, err error) {
	x.namespace, err = netns.New()
	return "loopback only", err
}

// errEarlier is the error of a check whose ground an earlier one did not find.
var errEarlier = errors.New("not tried: an earlier check failed")

func (x *examination) applyRules() (string, error) {
	if x.namespace == nil {
		return "", errEarlier
	}
	return "ruleset applied in a namespace of its own", x.namespace.Apply(netns.Default())
}

func (x *examination) listen() (string, error) {
	if x.namespace == nil {
		return "", errEarlier
	}
	l, err := x.namespace.Listen(netns.Default())
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d sockets", len(l.Files())), l.Close()
}

// clone starts a process in the cgroup; that the program does not exist shows that
// the kernel came as far as executing it.
func (x *examination) clone() (string, error) {
	if x.group == nil {
		return "", errEarlier
	}
	_, err := syscall.ForkExec("/nonexistent", nil, &syscall.ProcAttr{
		Sys: &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: x.group.FD(), Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS},
	})
	if !errors.Is(err, unix.ENOENT) {
		return "", fmt.Errorf("clone3: %w", err)
	}
	return "CLONE_INTO_CGROUP with new namespaces", nil
}

func (x *examination) overlay() (string, error) {
	fs, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return "", fmt.Errorf("fsopen: %w", err)
	}
	return "there", unix.Close(fs)
}

func (x *examination) seccomp() (string, error) {
	action := uint32(unix.SECCOMP_RET_ERRNO)
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action)))
	runtime.KeepAlive(&action)
	if errno != 0 {
		return "", fmt.Errorf("seccomp: %w", errno)
	}
	return "there", nil
}

func (x *examination) landlock() (string, error) {
	const version = 1 // LANDLOCK_CREATE_RULESET_VERSION
	abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, version)
	if errno != 0 {
		return "", fmt.Errorf("landlock: %w", errno)
	}
	return fmt.Sprintf("ABI %d", abi), nil
}

package siege

import (
	"errors"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"golang.org/x/sys/unix"
)

// masks are kernels that lack something, played by a filter that refuses the call as such a
// kernel does: what is answered otherwise is another fault. The C library's threads, for one,
// do without clone3 where it is not implemented, and abort where it is not permitted.
var masks = map[string]seccomp.SyscallGroup{
	"bpf":     {Names: []string{"bpf"}},
	"unshare": {Names: []string{"unshare"}},
	"clone3":  {Names: []string{"clone3"}},
	"mount":   {Names: []string{"mount", "fsopen", "fsmount", "move_mount", "open_tree"}},
	"setns":   {Names: []string{"setns"}},
	"nftables": {NamesWithCondtions: []seccomp.NameWithConditions{{
		Name: "socket",
		Conditions: []seccomp.Condition{
			{Argument: 0, Operation: seccomp.Equal, Value: unix.AF_NETLINK},
			{Argument: 2, Operation: seccomp.Equal, Value: unix.NETLINK_NETFILTER},
		},
	}}},
	"routes": {NamesWithCondtions: []seccomp.NameWithConditions{{
		Name: "socket",
		Conditions: []seccomp.Condition{
			{Argument: 0, Operation: seccomp.Equal, Value: unix.AF_NETLINK},
			{Argument: 2, Operation: seccomp.Equal, Value: unix.NETLINK_ROUTE},
		},
	}}},
	"seccomp": {Names: []string{"seccomp"}},
}

// mask takes something away from the process, for ever.
func mask(name string) error {
	if name == "" {
		return nil
	}
	group, ok := masks[name]
	if !ok {
		return errors.New("no such mask")
	}
	group.Action = seccomp.ActionErrno | seccomp.Action(unix.ENOSYS)
	if len(group.NamesWithCondtions) > 0 {
		group.Action = seccomp.ActionErrno | seccomp.Action(unix.EPROTONOSUPPORT)
	}
	return seccomp.LoadFilter(seccomp.Filter{
		NoNewPrivs: false, Flag: seccomp.FilterFlagTSync,
		Policy: seccomp.Policy{DefaultAction: seccomp.ActionAllow, Syscalls: []seccomp.SyscallGroup{group}},
	})
}

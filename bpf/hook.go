package bpf

import "github.com/cilium/ebpf"

// Hook is the place where a program is attached to the cgroup.
type Hook string

// The hooks of a bottle; the complete set. The name is also that of the pin.
const (
	SockCreate  Hook = programsProgSockCreate
	SockRelease Hook = programsProgSockRelease
	Bind4       Hook = programsProgBind4
	Bind6       Hook = programsProgBind6
	Connect4    Hook = programsProgConnect4
	Connect6    Hook = programsProgConnect6
	Sendmsg4    Hook = programsProgSendmsg4
	Sendmsg6    Hook = programsProgSendmsg6
	Egress      Hook = programsProgEgress
	SockOps     Hook = programsProgSockOps
)

// hooks is in the order of attachment: what refuses most comes first.
var hooks = []struct {
	name   Hook
	attach ebpf.AttachType
}{
	{SockCreate, ebpf.AttachCGroupInetSockCreate},
	{Egress, ebpf.AttachCGroupInetEgress},
	{Connect4, ebpf.AttachCGroupInet4Connect},
	{Connect6, ebpf.AttachCGroupInet6Connect},
	{Sendmsg4, ebpf.AttachCGroupUDP4Sendmsg},
	{Sendmsg6, ebpf.AttachCGroupUDP6Sendmsg},
	{Bind4, ebpf.AttachCGroupInet4Bind},
	{Bind6, ebpf.AttachCGroupInet6Bind},
	{SockRelease, ebpf.AttachCgroupInetSockRelease},
	{SockOps, ebpf.AttachCGroupSockOps},
}

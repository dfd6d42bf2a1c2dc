package bpf

import "github.com/cilium/ebpf"

// Hook is the place where a program is attached to the cgroup.
type Hook string

// The hooks. The name is also that of the pin.
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

var attachTypes = map[Hook]ebpf.AttachType{
	SockCreate:  ebpf.AttachCGroupInetSockCreate,
	SockRelease: ebpf.AttachCgroupInetSockRelease,
	Bind4:       ebpf.AttachCGroupInet4Bind,
	Bind6:       ebpf.AttachCGroupInet6Bind,
	Connect4:    ebpf.AttachCGroupInet4Connect,
	Connect6:    ebpf.AttachCGroupInet6Connect,
	Sendmsg4:    ebpf.AttachCGroupUDP4Sendmsg,
	Sendmsg6:    ebpf.AttachCGroupUDP6Sendmsg,
	Egress:      ebpf.AttachCGroupInetEgress,
	SockOps:     ebpf.AttachCGroupSockOps,
}

// kind is what a complete set consists of.
type kind struct {
	whose string // for messages
	hooks []Hook // in the order of attachment: what refuses most comes first
	pins  []pin
}

// pin is a map that is pinned, with what its holder may do to it.
type pin struct {
	m        string // in the source
	file     string // bpffs refuses a dot in a name
	writable bool
}

// ofBottle is the complete set of a bottle, ofEnforcer that of an enforcer.
var (
	ofBottle = kind{
		whose: "the bottle's programs",
		hooks: []Hook{SockCreate, Egress, Connect4, Connect6, Sendmsg4, Sendmsg6, Bind4, Bind6, SockRelease, SockOps},
		pins: []pin{
			{m: ".rodata", file: "constants"},
			{m: programsMapCounts, file: "counts"},
			{m: programsMapFlows, file: "flows"},
			{m: programsMapOwners, file: "owners"},
			{m: programsMapRefusals, file: "refusals", writable: true}, // the ring is consumed
		},
	}
	ofEnforcer = kind{
		whose: "the enforcer's programs",
		hooks: []Hook{SockCreate, Egress, Connect4, Connect6, Sendmsg4, Sendmsg6, Bind4, Bind6},
		pins: []pin{
			{m: fenceMapCounts, file: "counts"},
			{m: fenceMapRanges, file: "ranges"},
			{m: fenceMapReach, file: "reach", writable: true},
			{m: fenceMapRefusals, file: "refusals", writable: true},
		},
	}
)

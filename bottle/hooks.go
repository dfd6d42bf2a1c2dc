package bottle

import (
	"bottled/bpf"
	"bottled/netns"
)

// hooks tells of all that the programs need; the last is a trial of the complete set.
func (x *examination) hooks() []Feature {
	if x.group == nil || x.namespace == nil {
		return []Feature{{Name: "eBPF", Required: true, Detail: errEarlier.Error(), Fix: "do what the earlier check says"}}
	}
	var features []Feature
	for _, f := range bpf.Probe(bpf.Options{
		CgroupFD: x.group.FD(), NetnsCookie: x.namespace.Cookie(), Addresses: netns.Default().Addresses(), PinDir: x.pins,
	}) {
		feature := Feature{Name: "eBPF " + f.Name, Required: true, OK: f.Err == nil, Detail: f.Detail}
		if f.Err != nil {
			feature.Detail, feature.Fix = f.Err.Error(), f.Fix
		}
		features = append(features, feature)
	}
	return features
}

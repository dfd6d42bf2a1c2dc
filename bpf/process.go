package bpf

import "bytes"

// Process is the process behind a refusal or a connection, as the host sees it. It
// may be gone by now, and its number in use again. Zero: unknown.
type Process struct {
	PID  int    // thread group
	TID  int    // thread
	UID  uint32 // in the first user namespace
	Comm string // name of the thread, up to 15 bytes, chosen by the program itself
}

func process(p programsProcess) Process {
	comm, _, _ := bytes.Cut(p.Comm[:], []byte{0})
	return Process{PID: int(p.Tgid), TID: int(p.Tid), UID: p.Uid, Comm: string(comm)}
}

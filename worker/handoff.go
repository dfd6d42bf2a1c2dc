package worker

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"bottled/routes"
)

// handoffVersion is raised whenever the meaning of a [Handoff] changes. A worker
// is always the same binary as the daemon that starts it, so a difference is a
// bug and refused.
const handoffVersion = 5

// maxHandoff bounds the encoded handoff: the largest manifest gives a routes file
// of a few MiB.
const maxHandoff = 64 << 20

// Handoff is all a worker gets from the daemon beside its descriptors. It crosses
// a socketpair once, and is never written anywhere else.
type Handoff struct {
	Version    int               `json:"version"`
	Bottle     string            `json:"bottle"`
	Owner      string            `json:"owner"`
	Routes     []byte            `json:"routes"` // as routes.Render gives it
	Generation uint64            `json:"generation"`
	CA         []byte            `json:"ca"`     // as ca.Authority.Marshal gives it
	Tokens     map[string]string `json:"tokens"` // by slot
	Expires    Expiries          `json:"expires,omitempty"`
	DLP        routes.DLP        `json:"dlp"`                   // how the bottle is scanned where a route does not say
	DLPKey     []byte            `json:"dlp_key"`               // of the fingerprints of what is found
	UpstreamCA []byte            `json:"upstream_ca,omitempty"` // PEM, beside the system's roots
	Upstream   *Upstream         `json:"upstream,omitempty"`    // the proxy that all is chained to
	Resolver   string            `json:"resolver,omitempty"`    // "address:port"; empty: the host's configuration
	Own        []netip.Addr      `json:"own"`                   // the bottle's own addresses: never an original destination
	Files      []string          `json:"files"`                 // what each descriptor is, in order
}

// The names of the descriptors of a handoff.
const (
	FileTCP     = "tcp"     // transparent listener, one per address family
	FileDNS     = "dns"     // UDP socket on port 53, one per family
	FileDNSTCP  = "dns-tcp" // listener on port 53, one per family
	FileControl = "control" // listening Unix socket for the daemon
	FileFlows   = "flows"   // BPF map of who opened which connection
	FileRoots   = "roots"   // the host's authorities, in PEM
)

// String does not show what the handoff holds.
func (Handoff) String() string { return "[handoff]" }

// GoString does not show what the handoff holds.
func (Handoff) GoString() string { return "[handoff]" }

// maxFiles is how many descriptors a handoff may carry; the kernel's own bound is
// SCM_MAX_FD, 253.
const maxFiles = 16

// send writes one handoff and its descriptors: a 4-byte length that carries the
// descriptors as ancillary data, then the JSON text.
func send(conn *net.UnixConn, h Handoff, files []*os.File) error {
	if len(files) != len(h.Files) || len(files) > maxFiles {
		return fmt.Errorf("worker: handoff names %d descriptors and carries %d (at most %d)", len(h.Files), len(files), maxFiles)
	}
	text, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("worker: encode the handoff: %w", err)
	}
	if len(text) > maxHandoff {
		return fmt.Errorf("worker: the handoff is %d bytes, more than %d; the route table is too large", len(text), maxHandoff)
	}
	fds := make([]int, len(files))
	for i, f := range files {
		fds[i] = int(f.Fd())
	}
	head := binary.BigEndian.AppendUint32(nil, uint32(len(text)))
	if _, _, err := conn.WriteMsgUnix(head, unix.UnixRights(fds...), nil); err != nil {
		return fmt.Errorf("worker: hand over the descriptors: %w", err)
	}
	if _, err := conn.Write(text); err != nil {
		return fmt.Errorf("worker: hand over the configuration: %w", err)
	}
	return nil
}

// errAbandoned is a worker's whose daemon ended before it had handed all over. There is
// nobody to tell, and nothing to be told to the next one, which clears up.
var errAbandoned = errors.New("worker: the daemon ended before the handoff")

// receive reads what send wrote. The files are returned by name, in order.
func receive(conn *net.UnixConn) (Handoff, map[string][]*os.File, error) {
	head, oob := make([]byte, 4), make([]byte, unix.CmsgSpace(4*maxFiles))
	n, oobn, flags, _, err := conn.ReadMsgUnix(head, oob)
	if errors.Is(err, io.EOF) {
		return Handoff{}, nil, errAbandoned
	}
	if err != nil {
		return Handoff{}, nil, fmt.Errorf("worker: receive: %w", err)
	}
	fds, err := rights(oob[:oobn])
	if err != nil {
		return Handoff{}, nil, err
	}
	if n != len(head) || flags&unix.MSG_CTRUNC != 0 {
		return Handoff{}, nil, errors.New("worker: the handoff is truncated")
	}
	size := binary.BigEndian.Uint32(head)
	if size > maxHandoff {
		return Handoff{}, nil, fmt.Errorf("worker: handoff of %d bytes, more than %d", size, maxHandoff)
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(conn, text); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return Handoff{}, nil, errAbandoned
	} else if err != nil {
		return Handoff{}, nil, fmt.Errorf("worker: receive the configuration: %w", err)
	}
	var h Handoff
	err = json.Unmarshal(text, &h)
	clear(text)
	if err != nil {
		return Handoff{}, nil, errors.New("worker: the handoff is not valid JSON")
	}
	if h.Version != handoffVersion {
		return Handoff{}, nil, fmt.Errorf("worker: handoff version %d, this worker speaks %d", h.Version, handoffVersion)
	}
	if len(h.Files) != len(fds) {
		return Handoff{}, nil, fmt.Errorf("worker: handoff names %d descriptors and carries %d", len(h.Files), len(fds))
	}
	files := make(map[string][]*os.File)
	for i, name := range h.Files {
		files[name] = append(files[name], os.NewFile(uintptr(fds[i]), name))
	}
	return h, files, nil
}

// rights returns the descriptors in a control message, close-on-exec: net's
// ReadMsgUnix passes MSG_CMSG_CLOEXEC.
func rights(oob []byte) ([]int, error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("worker: control message: %w", err)
	}
	var all []int
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			return nil, fmt.Errorf("worker: control message: %w", err)
		}
		all = append(all, fds...)
	}
	return all, nil
}

// A verdict is the worker's answer to its handoff.
type verdict struct {
	Ready bool   `json:"ready"`
	Error string `json:"error,omitempty"`
}

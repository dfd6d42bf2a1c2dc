package siege

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	vns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"bottled/netns"
	"bottled/upstreamtest"
)

// world is what all tests share: the wire and what is at its ends.
var world *theWorld

type theWorld struct {
	dir       string // on the machine's file system; every user may pass
	agent     string // path of the agent's program
	sink      *netns.Namespace
	names     *upstreamtest.NameServer
	authority *upstreamtest.Authority
	upstream  *upstreamtest.Server // https, on every name and address of the sink
	plain     *upstreamtest.Server // http
	canary    *canary              // bare TCP
	banner    *canary              // TCP that speaks first
	captured  *os.File
	sent      atomic.Int64 // bytes of endless bodies that upstreams got rid of

	mu        sync.Mutex
	frames    map[netip.Addr]int // of the watched addresses
	forbidden [][]byte           // frames to forbidden targets
}

// Addresses of the far end. They must look public, or the enforcer's gate would
// refuse them; on this wire they are nobody's.
var (
	hostAddr4      = netip.MustParseAddr("93.184.216.1")
	hostAddr6      = netip.MustParseAddr("2a02:26f0:1::1")
	allowedAddr4   = netip.MustParseAddr("93.184.216.10")
	controlAddr4   = netip.MustParseAddr("93.184.216.130")
	controlAddr6   = netip.MustParseAddr("2a02:26f0:1::130")
	forbiddenAddr4 = netip.MustParseAddr("93.184.216.66")
	forbiddenAddr6 = netip.MustParseAddr("2a02:26f0:1::66")
)

// Names of the far end.
const (
	allowedHost   = "api.example"
	otherHost     = "other.example" // allowed to some
	controlHost   = "control.example"
	forbiddenHost = "forbidden.example"
)

const (
	canaryPort = 9000
	bannerPort = 25
)

func newWorld() (*theWorld, error) {
	w := &theWorld{frames: make(map[netip.Addr]int)}
	var err error
	if w.dir, err = os.MkdirTemp("", "bottled-siege-"); err != nil {
		return nil, err
	}
	return w, errors.Join(os.Chmod(w.dir, 0o755), w.copyAgent(), w.lay(), w.populate())
}

func (w *theWorld) close() {
	w.captured.Close()
	w.sink.Close()
	os.RemoveAll(w.dir)
}

// copyAgent copies the test binary to where a bottle can be shown it.
func (w *theWorld) copyAgent() error {
	text, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	w.agent = filepath.Join(w.dir, agentArg0)
	return os.WriteFile(w.agent, text, 0o755)
}

// lay connects the namespace that stands for the host with the sink's.
func (w *theWorld) lay() error {
	for key, value := range map[string]string{
		"/proc/sys/net/ipv6/conf/default/accept_dad": "0",
		"/proc/sys/net/ipv6/conf/all/accept_dad":     "0",
		"/proc/sys/net/ipv4/ping_group_range":        "0 2147483647",
	} {
		if err := os.WriteFile(key, []byte(value), 0); err != nil {
			return err
		}
	}
	var err error
	if w.sink, err = netns.New(); err != nil {
		return err
	}
	veth := &netlink.Veth{LinkAttrs: netlink.NewLinkAttrs(), PeerName: "sink", PeerNamespace: netlink.NsFd(vns.NsHandle(w.sink.FD()))}
	veth.Name = "wire"
	if err := netlink.LinkAdd(veth); err != nil {
		return err
	}
	if err := errors.Join(up("lo"), up("wire", hostAddr4, hostAddr6)); err != nil {
		return err
	}
	return w.sink.Do(func() error {
		err := errors.Join(up("lo"), up("sink", allowedAddr4, controlAddr4, controlAddr6, forbiddenAddr4, forbiddenAddr6))
		if err != nil {
			return err
		}
		// ETH_P_ALL in network byte order.
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0x0300)
		if err != nil {
			return err
		}
		w.captured = os.NewFile(uintptr(fd), "sink")
		go w.watch()
		return nil
	})
}

// up sets an interface up with addresses and routes to everywhere.
func up(name string, addrs ...netip.Addr) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return err
	}
	for _, a := range addrs {
		bits := a.BitLen()
		ip := &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(bits, bits)}
		if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: ip, Flags: unix.IFA_F_NODAD}); err != nil {
			return err
		}
	}
	if len(addrs) == 0 {
		return nil
	}
	for _, dst := range []*net.IPNet{
		{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)},
		{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)},
	} {
		if err := netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: dst, Scope: netlink.SCOPE_LINK}); err != nil {
			return err
		}
	}
	return nil
}

// watch keeps what comes out of the wire towards watched targets.
func (w *theWorld) watch() {
	watched := []netip.Addr{controlAddr4, controlAddr6, forbiddenAddr4, forbiddenAddr6}
	buf := make([]byte, 1<<16)
	for {
		n, from, err := recvfrom(w.captured, buf)
		if err != nil {
			return
		}
		if from == unix.PACKET_OUTGOING {
			continue // the sink's own answers
		}
		w.mu.Lock()
		for _, a := range watched {
			if !bytes.Contains(buf[:n], a.AsSlice()) {
				continue
			}
			w.frames[a]++
			if a == forbiddenAddr4 || a == forbiddenAddr6 {
				w.forbidden = append(w.forbidden, bytes.Clone(buf[:n]))
			}
		}
		w.mu.Unlock()
	}
}

// recvfrom reads a frame and how it came.
func recvfrom(f *os.File, buf []byte) (n int, kind uint8, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, 0, err
	}
	var inner error
	err = raw.Read(func(fd uintptr) bool {
		var from unix.Sockaddr
		n, from, inner = unix.Recvfrom(int(fd), buf, 0)
		if ll, ok := from.(*unix.SockaddrLinklayer); ok {
			kind = ll.Pkttype
		}
		return !errors.Is(inner, unix.EAGAIN)
	})
	return n, kind, errors.Join(err, inner)
}

// populate starts the servers.
func (w *theWorld) populate() (err error) {
	if w.authority, err = upstreamtest.NewAuthority(); err != nil {
		return err
	}
	if err := os.WriteFile(w.authorityFile(), w.authority.PEM(), 0o644); err != nil {
		return err
	}
	if w.names, err = upstreamtest.NewNameServer(); err != nil {
		return err
	}
	w.names.Set(allowedHost, allowedAddr4)
	w.names.Set(otherHost, allowedAddr4)
	w.names.Set(controlHost, controlAddr4)
	w.names.Set(forbiddenHost, forbiddenAddr4)
	return w.sink.Do(func() (err error) {
		w.upstream, err = upstreamtest.TLS("0.0.0.0:443", w.authority,
			[]string{allowedHost, otherHost, controlHost, forbiddenHost}, answer)
		if err != nil {
			return err
		}
		if w.plain, err = upstreamtest.Plain("0.0.0.0:80", answer); err != nil {
			return err
		}
		if w.canary, err = newCanary(fmt.Sprintf(":%d", canaryPort), ""); err != nil {
			return err
		}
		w.banner, err = newCanary(fmt.Sprintf(":%d", bannerPort), "220 here is a server that speaks first\r\n")
		return err
	})
}

func (w *theWorld) authorityFile() string { return filepath.Join(w.dir, "authority.pem") }

// answer is the upstreams' handler: it says where one is, and has what some attacks need.
func answer(rw http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/echo": // as a debug endpoint would
		fmt.Fprintf(rw, "authorization: %s\n", r.Header.Get("Authorization"))
	case r.URL.Path == "/big":
		_, _ = io.CopyN(rw, counted{zeros{}, &world.sent}, 1<<30)
	case r.URL.Path == "/stall":
		rw.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(rw).Flush()
		<-r.Context().Done()
	default:
		fmt.Fprintf(rw, "you are at %s\n", strings.Split(r.Host, ":")[0])
	}
}

// counted counts what is read through it.
type counted struct {
	io.Reader
	n *atomic.Int64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// canary is a TCP server that counts who connects.
type canary struct {
	listener net.Listener
	addr     netip.AddrPort
	calls    atomic.Int64
}

func newCanary(address, banner string) (*canary, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	c := &canary{listener: l, addr: l.Addr().(*net.TCPAddr).AddrPort()}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.calls.Add(1)
			go func() {
				defer conn.Close()
				_, _ = io.WriteString(conn, banner)
				_, _ = io.Copy(io.Discard, conn)
			}()
		}
	}()
	return c, nil
}

func (w *theWorld) forbiddenFrames() [][]byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.forbidden
}

func (w *theWorld) framesTo(a netip.Addr) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.frames[a]
}

// requestsFor is how many requests for the host reached an upstream.
func (w *theWorld) requestsFor(host string) int {
	n := 0
	for _, s := range []*upstreamtest.Server{w.upstream, w.plain} {
		for _, r := range s.Requests() {
			if strings.Split(r.Host, ":")[0] == host {
				n++
			}
		}
	}
	return n
}

// reached says whether anything came to the target since the mark, in whatever
// form: a frame on the wire, or a request for its name.
type mark struct{ frames, requests int }

func (tg target) mark() mark {
	m := mark{requests: world.requestsFor(tg.Host)}
	for _, a := range []netip.Addr{tg.Addr4, tg.Addr6} {
		m.frames += world.framesTo(a)
	}
	return m
}

// since returns nil where something came to the target after m was taken; it waits
// for it no longer than patience.
func (tg target) since(m mark, patience time.Duration) error {
	for deadline := time.Now().Add(patience); ; {
		now := tg.mark()
		if now.frames > m.frames || now.requests > m.requests {
			return nil
		}
		if time.Now().After(deadline) {
			return errors.New("nothing reached the wire")
		}
		time.Sleep(time.Millisecond)
	}
}

// target is one of a pair.
type target struct {
	Host         string
	Addr4, Addr6 netip.Addr
}

var (
	control   = target{controlHost, controlAddr4, controlAddr6}
	forbidden = target{forbiddenHost, forbiddenAddr4, forbiddenAddr6}
)

// onWire is how long a frame may take to be seen: for a control, which must be; and for
// an attack, after the agent said that it is done.
const (
	controlPatience = 3 * time.Second
	attackPatience  = 20 * time.Millisecond
)

// eventually waits until f holds, and fails the test where it does not in time.
func eventually(t testing.TB, what string, within time.Duration, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !f(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// sinkAddr is a server that takes whatever is sent.
func (w *theWorld) sinkAddr() string {
	return netip.AddrPortFrom(allowedAddr4, canaryPort).String()
}

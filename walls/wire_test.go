package walls

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	vns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"bottled/netns"
)

// wire is a namespace as other sandboxes have it, with a way out, and a sink at the
// other end that keeps every frame. It is where each probe shows that it works, and
// where the programs have to stand alone.
type wire struct {
	ns *netns.Namespace // with an interface "wire" and a default route

	mu     sync.Mutex
	frames [][]byte
}

// sinkAddr4 and sinkAddr6 give each probe a target of its own, beyond the wire.
func sinkAddr4(n int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}) }
func sinkAddr6(n int) netip.Addr {
	a := netip.MustParseAddr("2001:db8:ffff::").As16()
	a[15] = byte(n)
	return netip.AddrFrom16(a)
}

func newWire(t *testing.T) *wire {
	t.Helper()
	w := new(wire)
	sink, err := netns.New()
	must(t, err)
	t.Cleanup(func() { sink.Close() })
	w.ns, err = netns.New()
	must(t, err)
	t.Cleanup(func() { w.ns.Close() })
	must(t, w.ns.Do(func() error { return connectTo(sink) }))
	var fd int
	must(t, sink.Do(func() (err error) {
		link, err := netlink.LinkByName("sink")
		if err != nil {
			return err
		}
		if err := netlink.LinkSetARPOff(link); err != nil {
			return err
		}
		if err := netlink.LinkSetUp(link); err != nil {
			return err
		}
		// ETH_P_ALL in network byte order.
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0x0300)
		return err
	}))
	capture := os.NewFile(uintptr(fd), "sink")
	t.Cleanup(func() { capture.Close() })
	go func() {
		buf := make([]byte, 1<<16)
		for {
			n, err := capture.Read(buf)
			if err != nil {
				return
			}
			w.mu.Lock()
			w.frames = append(w.frames, bytes.Clone(buf[:n]))
			w.mu.Unlock()
		}
	}()
	return w
}

// asHost makes the near end more like a host: with a loopback, and one more address.
func (w *wire) asHost(a netip.Addr) error {
	return w.ns.Do(func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		if err := netlink.LinkSetUp(lo); err != nil {
			return err
		}
		link, err := netlink.LinkByName("wire")
		if err != nil {
			return err
		}
		ip := &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())}
		return netlink.AddrAdd(link, &netlink.Addr{IPNet: ip, Flags: unix.IFA_F_NODAD})
	})
}

// connectTo makes the wire from the thread's namespace, which gets routes to everywhere.
func connectTo(sink *netns.Namespace) error {
	for key, value := range map[string]string{
		"/proc/sys/net/ipv4/ping_group_range":                "0 2147483647",
		"/proc/sys/net/ipv6/conf/default/accept_dad":         "0",
		"/proc/sys/net/ipv4/tcp_fastopen":                    "0x5", // without a cookie
		"/proc/sys/net/ipv4/conf/default/force_igmp_version": "2",
	} {
		if err := os.WriteFile(key, []byte(value), 0); err != nil {
			return err
		}
	}
	veth := &netlink.Veth{LinkAttrs: netlink.NewLinkAttrs(), PeerName: "sink", PeerNamespace: netlink.NsFd(vns.NsHandle(sink.FD()))}
	veth.Name = "wire"
	if err := netlink.LinkAdd(veth); err != nil {
		return err
	}
	link, err := netlink.LinkByName("wire")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetARPOff(link); err != nil {
		return err
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return err
	}
	for _, a := range []string{"10.9.0.1/32", "fd99::1/128"} {
		ip, err := netlink.ParseIPNet(a)
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: ip, Flags: unix.IFA_F_NODAD}); err != nil {
			return err
		}
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

// arrives is how long a frame that must come is waited for: as long as a busy machine
// needs, for it ends with the frame.
const arrives = 10 * time.Second

// saw says whether a frame to the address, or one that carries it, came out of the wire.
// It waits for one no longer than patience.
func (w *wire) saw(to netip.Addr, patience time.Duration) bool { return w.sawSince(0, to, patience) }

// seen is how many frames came out of the wire so far.
func (w *wire) seen() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.frames)
}

// sawSince is saw for what came after the first so many frames.
func (w *wire) sawSince(seen int, to netip.Addr, patience time.Duration) bool {
	deadline := time.Now().Add(patience)
	for {
		w.mu.Lock()
		for _, frame := range w.frames[seen:] {
			if bytes.Contains(frame, to.AsSlice()) {
				w.mu.Unlock()
				return true
			}
		}
		w.mu.Unlock()
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(time.Millisecond)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

package api

import (
	"errors"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// maxFDs is how many descriptors may be in flight on one connection: three
// streams, and one to spare.
const maxFDs = 4

// errSurplusFDs is for a peer that sent more than maxFDs.
var errSurplusFDs = errors.New("too many descriptors")

// A conn is one client's connection. It collects the descriptors that come with
// the bytes, which a plain Read would have the kernel drop, and owns them until
// [conn.take].
type conn struct {
	*net.UnixConn
	peer    peer
	share   *share
	release func() // gives the connection's place back
	once    sync.Once

	oob []byte // one Read at a time, as net/http does

	mu      sync.Mutex
	files   []*os.File
	surplus bool
	closed  bool
}

func newConn(uc *net.UnixConn, p peer, own *share, release func()) *conn {
	// The buffer holds exactly maxFDs. The kernel installs what fits and
	// releases the rest (scm_detach_fds in net/core/scm.c).
	return &conn{UnixConn: uc, peer: p, share: own, release: release, oob: make([]byte, unix.CmsgSpace(maxFDs*4))}
}

// Read is recvmsg(2); Go passes MSG_CMSG_CLOEXEC.
func (c *conn) Read(b []byte) (int, error) {
	n, oobn, flags, _, err := c.ReadMsgUnix(b, c.oob)
	if oobn > 0 || flags&unix.MSG_CTRUNC != 0 {
		c.collect(c.oob[:oobn], flags&unix.MSG_CTRUNC != 0)
	}
	return max(n, 0), err // recvmsg's -1 is no count, and bufio panics on it
}

func (c *conn) collect(oob []byte, truncated bool) {
	files, err := filesOf(oob)
	c.mu.Lock()
	defer c.mu.Unlock()
	if truncated || err != nil || c.surplus || c.closed || len(c.files)+len(files) > maxFDs {
		c.surplus = true
		closeFiles(files)
		closeFiles(c.files)
		c.files = nil
		return
	}
	c.files = append(c.files, files...)
}

// filesOf returns every descriptor in the control messages, also along with an error.
func filesOf(oob []byte) (files []*os.File, err error) {
	msgs, err := unix.ParseSocketControlMessage(oob)
	for i := range msgs {
		fds, rightsErr := unix.ParseUnixRights(&msgs[i])
		err = errors.Join(err, rightsErr)
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "descriptor of a request"))
		}
	}
	return files, err
}

// take hands over what was collected so far; the caller closes it.
func (c *conn) take() ([]*os.File, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	files := c.files
	c.files = nil
	if c.surplus {
		return nil, errSurplusFDs
	}
	return files, nil
}

// drop closes what was collected so far.
func (c *conn) drop() {
	files, _ := c.take()
	closeFiles(files)
}

// Close is called by net/http at the end of every connection, whatever ended it.
func (c *conn) Close() error {
	err := c.UnixConn.Close()
	c.once.Do(func() {
		c.mu.Lock()
		c.closed = true
		c.mu.Unlock()
		c.drop()
		c.release()
	})
	return err
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

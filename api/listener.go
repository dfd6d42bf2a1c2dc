package api

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"
)

// Connections one uid may hold, and all together: a waiting client holds one, a
// bottle has one or two. Root is not counted, and a few are everybody's own: those who
// hold many together cannot keep anybody out.
const (
	maxConnsPerUID = 512
	maxConns       = 4096
	ownConns       = 16
)

// A peerListener asks the kernel who connects, at once, and turns away who holds
// too many connections.
type peerListener struct {
	*net.UnixListener
	log *slog.Logger

	mu    sync.Mutex
	byUID map[uint32]*share
	total int
}

func newPeerListener(ul *net.UnixListener, log *slog.Logger) *peerListener {
	return &peerListener{UnixListener: ul, log: log, byUID: make(map[uint32]*share)}
}

// Accept returns the next connection whose peer is known and within its bounds.
func (l *peerListener) Accept() (net.Conn, error) {
	for {
		uc, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		p, err := peerOf(uc)
		if err != nil {
			l.log.Warn("connection refused: peer unknown", "err", err)
			uc.Close()
			continue
		}
		own, err := l.enter(p.UID)
		if err != nil {
			l.log.Warn("connection refused", "uid", p.UID, "pid", p.PID, "err", err)
			refuseConn(uc)
			p.close()
			continue
		}
		return newConn(uc, p, own, func() { l.leave(p) }), nil
	}
}

// enter counts a connection of uid, and returns what it shares with the others.
func (l *peerListener) enter(uid uint32) (*share, error) {
	if uid == 0 {
		return nil, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	own := l.byUID[uid]
	if own == nil {
		own = newShare()
	}
	if own.conns >= maxConnsPerUID || own.conns >= ownConns && l.total >= maxConns {
		return nil, errors.New("too many connections")
	}
	l.byUID[uid] = own
	own.conns++
	l.total++
	return own, nil
}

func (l *peerListener) leave(p peer) {
	p.close()
	if p.UID == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if l.byUID[p.UID].conns--; l.byUID[p.UID].conns == 0 {
		delete(l.byUID, p.UID)
	}
}

// tooMany is sent unread to who may not have another connection. It fits the
// socket's buffer, so that writing it never waits.
const tooMany = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 90\r\n\r\n" +
	`{"code":"unavailable","message":"too many open connections: close some, then try again"}` + "\r\n"

func refuseConn(uc *net.UnixConn) {
	uc.SetWriteDeadline(time.Now().Add(time.Second))
	uc.Write([]byte(tooMany))
	uc.Close()
}

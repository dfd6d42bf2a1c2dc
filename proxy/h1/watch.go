package h1

import "time"

// watchInterval is how often a Server looks which requests take their time.
const watchInterval = 50 * time.Millisecond

// watch makes sure that somebody will look at the sessions soon. A request that has been
// under way for a while then gets a goroutine that notices when its client goes; the
// many that are answered at once do without.
func (s *Server) watch() {
	if !s.looking.Load() && s.looking.CompareAndSwap(false, true) {
		time.AfterFunc(watchInterval, s.look)
	}
}

func (s *Server) look() {
	s.looking.Store(false) // first: a request that begins while this looks arms it again
	s.mu.Lock()
	busy := false
	for n := range s.sessions {
		busy = n.look() || busy
	}
	s.mu.Unlock()
	if busy {
		s.watch()
	}
}

// look watches the client of a request that was there at the last look already, and
// whose body has come. It reports whether there is a request.
func (n *session) look() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.active {
		n.seen = false
		return false
	}
	if !n.seen {
		n.seen = true
		return true
	}
	if n.watched == nil && (n.body == nil || n.body.whole.Load()) {
		n.watched = make(chan struct{})
		n.conn.SetReadDeadline(time.Time{})
		n.deadline = time.Time{}
		go n.waitForClient(n.watched)
	}
	return true
}

// waitForClient reads one byte: the client sends it with its next request, or never.
func (n *session) waitForClient(done chan struct{}) {
	defer close(done)
	var one [1]byte
	switch got, err := n.conn.Read(one[:]); {
	case got > 0:
		n.src.early = append(n.src.early, one[0]) // of requests that were pipelined, each may have left one
	case err != nil && !isTimeout(err):
		n.cancel()
	}
}

// begin says that a request is under way.
func (n *session) begin() {
	n.mu.Lock()
	n.active, n.seen = true, false
	n.mu.Unlock()
	n.srv.watch()
}

// end says that none is any more, and waits for the one who watches its client. It
// reports whether the session may go on.
func (n *session) end() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.active = false
	if watched := n.watched; watched != nil {
		n.conn.SetReadDeadline(past)
		n.mu.Unlock()
		<-watched
		n.mu.Lock()
		n.watched = nil
		n.conn.SetReadDeadline(time.Time{})
	}
	return !n.retired
}

// past is a deadline that makes a read return at once.
var past = time.Unix(1, 0)

func isTimeout(err error) bool {
	t, ok := err.(interface{ Timeout() bool })
	return ok && t.Timeout()
}

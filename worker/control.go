package worker

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// control serves the daemon on the worker's control socket. Only root is served:
// the socket lies in a directory of root's, and the peer is asked for besides.
func (e *enforcer) control(l net.Listener) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stats", e.serveStats)
	mux.HandleFunc("GET /allowlist", e.serveAllowlist)
	mux.HandleFunc("PUT /table", e.serveTable)
	mux.HandleFunc("PUT /tokens", e.serveTokens)
	mux.HandleFunc("GET /events", e.serveEvents)
	mux.HandleFunc("GET /idle", e.serveIdle)
	mux.HandleFunc("GET /proposals", e.supervisor.serveProposals)
	mux.HandleFunc("POST /decision", e.supervisor.serveDecision)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 4 << 10}
	return server.Serve(rootOnly{l})
}

// rootOnly accepts connections of uid 0 and closes all others.
type rootOnly struct{ net.Listener }

func (l rootOnly) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if uid, err := peerUID(c); err == nil && uid == 0 {
			return c, nil
		}
		c.Close()
	}
}

func peerUID(c net.Conn) (uint32, error) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return 0, errors.New("worker: not a Unix socket")
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	if credErr != nil {
		return 0, credErr
	}
	return cred.Uid, nil
}

func (e *enforcer) serveStats(w http.ResponseWriter, _ *http.Request) {
	t, s := e.table(), e.proxy.Stats()
	reply(w, Stats{
		PID: os.Getpid(), Generation: t.Generation(), Routes: len(t.Routes()),
		Connections: s.Open, Accepted: s.Accepted, Dropped: e.events.Dropped(),
	})
}

func (e *enforcer) serveAllowlist(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(e.table().AllowlistJSON())
}

// serveTable puts a new table in force, or leaves all as it was.
func (e *enforcer) serveTable(w http.ResponseWriter, r *http.Request) { change(w, r, e.update) }

// serveTokens renews tokens of the table in force, or leaves all as it was.
func (e *enforcer) serveTokens(w http.ResponseWriter, r *http.Request) { change(w, r, e.renew) }

// change reads what is to change and applies it. No answer shows what was sent.
func change[T any](w http.ResponseWriter, r *http.Request, apply func(T) error) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxHandoff))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var what T
	err = json.Unmarshal(text, &what)
	clear(text)
	if err != nil {
		http.Error(w, "the body is not valid JSON", http.StatusBadRequest)
		return
	}
	if err := apply(what); err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// serveEvents streams the audit events, a JSON text a line, until the reader goes.
// There is one reader, the daemon: two would each get a part.
func (e *enforcer) serveEvents(w http.ResponseWriter, r *http.Request) {
	flush := http.NewResponseController(w)
	_ = flush.Flush()
	e.events.send(flushed{w, flush}, r.Context().Done())
}

// flushed is a response of which each write leaves at once.
type flushed struct {
	io.Writer
	response *http.ResponseController
}

func (f flushed) Write(p []byte) (int, error) {
	n, err := f.Writer.Write(p)
	if err == nil {
		err = f.response.Flush()
	}
	return n, err
}

// idleInterval is how often serveIdle looks.
const idleInterval = 2 * time.Millisecond

// serveIdle answers once no connection is open and every event is on its way to
// the daemon, or the caller has gone.
func (e *enforcer) serveIdle(w http.ResponseWriter, r *http.Request) {
	look := time.NewTicker(idleInterval)
	defer look.Stop()
	for e.proxy.Stats().Open > 0 || e.events.unread.Load() > 0 {
		select {
		case <-r.Context().Done():
			return
		case <-look.C:
		}
	}
	w.WriteHeader(http.StatusOK)
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// stop ends the enforcer in order: no new connection, then none at all.
func (e *enforcer) stop(ctx context.Context) {
	_ = e.proxy.Shutdown(ctx)
	_ = e.dns.Close()
}

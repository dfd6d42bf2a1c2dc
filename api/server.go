package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"bottled/audit"
	"bottled/bottle"
)

// Bounds of a request. Waiting for a bottle has none; it ends with the connection.
const (
	MaxBody = 1 << 20 // bytes of the document

	maxHeader     = 16 << 10 // bytes
	headerTimeout = 10 * time.Second
	readTimeout   = 30 * time.Second // header and body
	writeTimeout  = 30 * time.Second // an answer
	idleTimeout   = 60 * time.Second
)

// Server answers the API. Its methods may be called concurrently. The exported
// fields are set before Serve.
type Server struct {
	// Events are what GET /v1/events tells of; nil: there are none.
	Events *audit.Recent
	// Stats counts for the bottles that the caller may see; nil: there are none.
	Stats func(context.Context, bottle.Caller) []Stats
	// Metrics is what GET /v1/metrics tells the caller; nil: nothing.
	Metrics func(bottle.Caller) http.Handler

	bottles Bottles
	log     *slog.Logger
	http    *http.Server

	streams    context.Context // ends with the server: nobody waits for a stream to end by itself
	endStreams context.CancelFunc

	// Set once by Serve.
	group uint32 // besides root, its members may call; 0: only root may
	netns uint64 // cookie of the network namespace that callers must come from
}

// NewServer makes a server of b. The log gets a line for every call that changes
// something and for every refused caller, and is never given a token, an
// environment or a body; nil means no log.
func NewServer(b Bottles, log *slog.Logger) *Server {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Server{bottles: b, log: log}
	s.streams, s.endStreams = context.WithCancel(context.Background())
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	s.http = &http.Server{
		Handler:                      s,
		Protocols:                    protocols,
		ReadHeaderTimeout:            headerTimeout,
		ReadTimeout:                  readTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHeader,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c)
		},
	}
	return s
}

type connKey struct{}

// Serve answers on l until [Server.Shutdown] or [Server.Close], then returns nil.
// The listener is a Unix one, [Listen]'s or systemd's, and is closed at the end.
// Who may call is what the socket's inode says: the group that may write to it,
// decided again here because a mode can be changed and a directory moved.
// Serve is called once.
func (s *Server) Serve(l net.Listener) error {
	ul, ok := l.(*net.UnixListener)
	if !ok {
		l.Close()
		return fmt.Errorf("api: a Unix listener is needed, and this is a %T: nothing else tells who calls", l)
	}
	var err error
	if s.netns, err = ownNetns(); err != nil {
		l.Close()
		return fmt.Errorf("api: the kernel does not tell network namespaces apart (SO_NETNS_COOKIE, Linux 5.14): %w", err)
	}
	if s.group = socketGroup(l.Addr().String()); s.group == 0 {
		s.log.Warn("root alone may call: the socket is open to no group; make one and start again", "group", Group)
	}
	err = s.http.Serve(newPeerListener(ul, s.log))
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Shutdown stops accepting, waits for requests under way until ctx ends, then
// closes what is left: clients that wait for a bottle see their connection end.
func (s *Server) Shutdown(ctx context.Context) error {
	s.endStreams()
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(err, s.http.Close())
	}
	return nil
}

// Close ends every connection at once.
func (s *Server) Close() error {
	s.endStreams()
	return s.http.Close()
}

// allowed decides whether a peer may call at all.
func (s *Server) allowed(p *peer) error {
	switch {
	case p.netns != s.netns:
		return refusal{http.StatusForbidden, "forbidden",
			"callers from another network namespace are not served: call from the host, not from a container or a bottle"}
	case p.gone():
		return refusal{http.StatusForbidden, "forbidden",
			"the process that opened this connection has exited: a connection is its opener's and cannot be inherited; open another"}
	case p.UID == 0, s.group != 0 && p.in(s.group):
		return nil
	}
	return refusal{http.StatusForbidden, "forbidden",
		`this user may not use bottled: root, or a member of group "` + Group + `", may; ask to be added to the group, then log in again`}
}

// readBody returns the one document of the request, or nothing where none is due.
func readBody(w http.ResponseWriter, r *http.Request, due bool) ([]byte, error) {
	switch {
	case len(r.TransferEncoding) > 0:
		return nil, refusal{http.StatusLengthRequired, "invalid", "send a Content-Length: Transfer-Encoding is not accepted"}
	case r.ContentLength > MaxBody:
		return nil, errTooLarge
	case !due && r.ContentLength != 0:
		return nil, invalidf("%s %s takes no body", r.Method, r.URL.Path)
	case !due:
		return nil, nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		return nil, invalidf("the body did not arrive: %v", err)
	}
	return body, nil
}

package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"time"

	"golang.org/x/net/http2"

	"bottled/routes"
)

var (
	errPassthrough = errors.New("the client's TLS is for the upstream")
	errNoName      = errors.New("the client named no server")
	errNameChanged = errors.New("the client named another server in the middle of its handshake")
)

// newTLS returns the one server configuration of all flows. One, because session
// tickets resume only under the configuration that made them; the keys live and
// die with this Server, so no other bottle's ticket opens here.
func (s *Server) newTLS() *tls.Config {
	c := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		NextProtos:         []string{"h2", "http/1.1"},
		GetConfigForClient: s.judgeHello,
		GetCertificate:     s.leaf,
		// Small records are for the first byte over a slow line: here they would only be
		// more writes.
		DynamicRecordSizingDisabled: true,
	}
	// A ticket is good for the name it was given under and no other: crypto/tls
	// itself would resume it for any.
	c.WrapSession = func(cs tls.ConnectionState, ss *tls.SessionState) ([]byte, error) {
		ss.Extra = append(ss.Extra, []byte(cs.ServerName))
		return c.EncryptTicket(cs, ss)
	}
	c.UnwrapSession = func(ticket []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
		ss, err := c.DecryptTicket(ticket, cs)
		if err != nil || ss == nil || len(ss.Extra) != 1 || string(ss.Extra[0]) != cs.ServerName {
			return nil, nil // a full handshake
		}
		return ss, nil
	}
	return c
}

// judgeHello is the one place where the name of a TLS flow is decided, from the
// ClientHello as crypto/tls read it.
func (s *Server) judgeHello(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	f := hello.Conn.(*flow)
	sni, err := f.serverName(hello.ServerName)
	if err != nil {
		return nil, err
	}
	f.tls, f.sni = true, sni
	if !isMagic(sni) {
		f.hello = s.table.Load().DecideHello(routes.Hello{TLS: true, SNI: sni, Authority: routes.Authority{Host: sni, Port: f.port()}})
		if f.hello.Allowed() && f.hello.Route.Protocol == routes.TLSPassthrough {
			f.mute = true
			return nil, errPassthrough
		}
	}
	f.forget()
	return nil, nil
}

// serverName is the name that a flow's TLS is for: the SNI; without one the name
// of the CONNECT or of the synthetic address, or the address itself.
func (f *flow) serverName(sni string) (routes.Host, error) {
	if sni != "" {
		host, err := routes.ParseSNI(sni)
		if err != nil {
			return routes.Host{}, err
		}
		if f.connect != nil && f.connect.Host != host {
			return routes.Host{}, errNameChanged
		}
		return host, nil
	}
	to, ok := f.target()
	if !ok || to.Host.IsZero() {
		return routes.Host{}, errNoName
	}
	return to.Host, nil
}

// leaf mints for the judged name. A denied name gets a leaf as well, over which
// the client reads its 403; the authority keeps a small budget for those apart.
func (s *Server) leaf(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	f := hello.Conn.(*flow)
	if again, err := f.serverName(hello.ServerName); err != nil || again != f.sni {
		return nil, errNameChanged // after a HelloRetryRequest
	}
	if isMagic(f.sni) || f.hello.Allowed() {
		return s.cfg.CA.Leaf(hello.Context(), f.sni.String())
	}
	return s.cfg.CA.Refusal(hello.Context(), f.sni.String())
}

// serveTLS shakes hands and serves the flow, and reports whether it needs no closing.
func (s *Server) serveTLS(f *flow, table *routes.Table) bool {
	f.record = true
	conn := tls.Server(f, s.tls)
	ctx, cancel := context.WithTimeout(s.ctx, s.cfg.Limits.Handshake)
	defer cancel()
	err := conn.HandshakeContext(ctx)
	if errors.Is(err, errPassthrough) {
		f.rewind()
		f.SetDeadline(time.Time{})
		s.serveOpaque(f, table, routes.Hello{TLS: true, SNI: f.sni, Authority: routes.Authority{Host: f.sni, Port: f.port()}}, f.hello)
		return false
	}
	if err != nil {
		s.refuseFlow(f, reasonHandshake)
		return false
	}
	if again, err := f.serverName(conn.ConnectionState().ServerName); err != nil || again != f.sni {
		s.refuseFlow(f, reasonHandshake)
		return false
	}
	if conn.ConnectionState().NegotiatedProtocol == http2.NextProtoTLS {
		s.handoff.give(conn)
		return true
	}
	cancel()
	s.serveHTTP1(f, conn)
	return true
}

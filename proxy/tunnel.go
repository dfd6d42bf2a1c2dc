package proxy

import (
	"net/http"

	"bottled/audit"
	"bottled/routes"
)

// tunnel answers a CONNECT. Nothing is dialled for it: the client is told to go
// on, and what it then sends is a flow like any other, with the authority of the
// CONNECT as its destination. So a denied host is refused inside its own TLS,
// where the client shows the reason.
func (x *exchange) tunnel(w http.ResponseWriter, r *http.Request) {
	to, err := routes.ParseAuthority(r.RequestURI, 0)
	if err != nil || to.Port == 0 {
		x.refuse(w, reasonBadRequest.because("CONNECT needs host:port"))
		return
	}
	x.event.Authority, x.event.Path = to.String(), audit.Path{}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		x.refuse(w, reasonBadRequest.because("CONNECT is spoken over HTTP/1 only"))
		return
	}
	x.event.Verdict, x.event.Status = audit.Allow, http.StatusOK
	inner := &flow{
		Conn: conn, dst: x.f.dst, name: x.f.name, magic: x.f.magic, process: x.f.process,
		connect: &to,
	}
	if !x.s.own(inner, func() {}) { // the outer flow holds the place until it is closed
		conn.Close()
		return
	}
	if n := buffered.Reader.Buffered(); n > 0 { // a client that did not wait for the 200
		early, _ := buffered.Reader.Peek(n)
		inner.pending = append(inner.pending, early...)
	}
	if _, err := conn.Write([]byte("HTTP/1.1 200 Connection established\r\n\r\n")); err != nil {
		inner.Close()
		x.s.disown(inner)
		return
	}
	go x.s.run(inner, func() bool { return x.s.dispatch(inner) })
}

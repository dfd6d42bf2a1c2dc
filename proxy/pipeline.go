package proxy

import (
	"net/http"
	"net/http/httptrace"
	"net/url"

	"github.com/elazarl/goproxy"

	"bottled/proxy/h1"
)

type exchangeKey struct{}

// newPipeline sets goproxy up as what it is good at: a request goes in, passes
// the handlers, and its response comes out. Its CONNECT, its certificate
// authority, its transport and its environment proxy are out of reach: no CONNECT
// is ever given to it, and a request that is no exchange finds nothing to go by.
func (s *Server) newPipeline() *goproxy.ProxyHttpServer {
	p := goproxy.NewProxyHttpServer()
	p.Tr = nil // every request brings its own RoundTripper, or fails
	p.Logger = silent{}
	p.ConnectDial = nil
	p.KeepAcceptEncoding = true
	p.KeepHeader = true // cleanRequest has removed the headers of this hop
	p.NonproxyHandler = http.NotFoundHandler()
	p.OnRequest().DoFunc(func(r *http.Request, ctx *goproxy.ProxyCtx) (*http.Request, *http.Response) {
		ctx.RoundTripper = r.Context().Value(exchangeKey{}).(*exchange)
		return r, nil
	})
	return p
}

// RoundTrip is the pipeline's last step out and its first one back: the
// credential is set here, where nothing can take it off again, and the response
// is made fit for the bottle before goproxy sees it, so that its length stays
// known.
func (x *exchange) RoundTrip(r *http.Request, _ *goproxy.ProxyCtx) (*http.Response, error) {
	resp, err := x.send(r)
	if err == nil && resp.StatusCode < 200 {
		resp.Body.Close()
		err = errUpgrade // 101 to a request that asked for no upgrade
	}
	if err != nil {
		x.fail(failure(cause(x.ctx, err)))
		return nil, err
	}
	if why, ok := x.adopt(resp); !ok {
		resp.Body.Close()
		x.fail(why)
		return nil, errRefused
	}
	return resp, nil
}

// send lets a request leave, with its credential.
func (x *exchange) send(r *http.Request) (*http.Response, error) {
	if x.inject != nil {
		x.inject.apply(r)
		x.event.Injected = true
		x.s.count.injected.Add(1)
	}
	resp, err := x.ask(r)
	x.interim.end()
	return resp, err
}

// ask gets the response. A client that speaks HTTP/1.1 gets its upstream over
// HTTP/1.1, as it would alone; most of its requests take the short way, unless there is
// another proxy behind this one: a connection inside a tunnel cannot be tried.
func (x *exchange) ask(r *http.Request) (resp *http.Response, err error) {
	pool := x.s.pools.get(x.decision.Route.AllowPrivate)
	if x.event.Protocol == "h1" && x.s.cfg.Upstream == nil && h1.Takes(r) {
		resp, x.event.Dialled, err = pool.plain.RoundTrip(r, x.interim.got)
		return resp, err
	}
	return pool.full.RoundTrip(r.WithContext(httptrace.WithClientTrace(x.ctx, &httptrace.ClientTrace{
		Got1xxResponse: x.interim.got,
		GotConn:        func(info httptrace.GotConnInfo) { x.event.Dialled = addrPort(info.Conn.RemoteAddr()) },
	})))
}

// fail keeps the first reason why there is no response from the upstream.
func (x *exchange) fail(why reason) {
	if x.why == nil {
		x.why = &why
	}
}

// outURL is the upstream's URL, made of the decision alone. Opaque keeps the
// target byte for byte: it was judged in this form, and no cleaning or
// re-encoding comes between.
func (x *exchange) outURL() *url.URL {
	return &url.URL{Scheme: x.query.Scheme, Host: x.address, Opaque: x.query.Target}
}

type silent struct{}

func (silent) Printf(string, ...any) {}

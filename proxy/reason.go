package proxy

import "net/http"

// A reason is why a request or connection was not served: a stable code, the
// HTTP status that goes with it, and what to tell a person.
type reason struct {
	code   string
	status int
	detail string
}

// The reasons of this package. Those of the route table come with its decision.
var (
	reasonDirect    = reason{"direct-connection", 0, "the listener is reached only through the bottle's routing"}
	reasonSilent    = reason{"no-first-byte", 0, "the client said nothing; protocols in which the server speaks first need a route with protocol: tcp"}
	reasonProtocol  = reason{"unknown-protocol", 0, "neither TLS nor HTTP/1; other protocols need a route with protocol: tcp"}
	reasonHandshake = reason{"tls-handshake", 0, "the TLS handshake with the client failed"}
	reasonCut       = reason{"route-removed", 0, "the route was removed while the connection was open"}

	reasonBadRequest  = reason{"bad-request", http.StatusBadRequest, ""}
	reasonMismatch    = reason{"authority-mismatch", http.StatusMisdirectedRequest, ""}
	reasonMethod      = reason{"method-not-allowed", http.StatusMethodNotAllowed, ""}
	reasonVersion     = reason{"http-version", http.StatusHTTPVersionNotSupported, "HTTP/1.0, HTTP/1.1 and HTTP/2 are spoken"}
	reasonTooLarge    = reason{"request-too-large", http.StatusRequestHeaderFieldsTooLarge, ""}
	reasonCleartext   = reason{"credential-needs-tls", http.StatusForbidden, "this route injects a credential, which goes over TLS only: use https"}
	reasonCredential  = reason{"credential-missing", http.StatusBadGateway, "the credential of this route was not given, or has expired and could not be renewed"}
	reasonWebSocket   = reason{"bad-websocket-handshake", http.StatusBadRequest, ""}
	reasonBusy        = reason{"too-many-requests", http.StatusTooManyRequests, ""}
	reasonBlocked     = reason{"content-blocked", http.StatusForbidden, ""}
	reasonAddress     = reason{"address-not-allowed", http.StatusForbidden, ""}
	reasonChain       = reason{"upstream-proxy", http.StatusBadGateway, ""}
	reasonChainAuth   = reason{"upstream-proxy-auth", http.StatusBadGateway, ""}
	reasonResolve     = reason{"name-does-not-resolve", http.StatusBadGateway, "the upstream's name does not resolve"}
	reasonConnect     = reason{"upstream-unreachable", http.StatusBadGateway, "no connection to the upstream"}
	reasonCertificate = reason{"upstream-certificate", http.StatusBadGateway, ""}
	reasonTimeout     = reason{"upstream-timeout", http.StatusGatewayTimeout, "the upstream did not answer in time"}
	reasonUpstream    = reason{"upstream-failed", http.StatusBadGateway, "the upstream broke the connection or the protocol"}
	reasonEncoding    = reason{"response-encoding", http.StatusBadGateway, ""}
	reasonSlice       = reason{"response-slice", http.StatusBadGateway, "the upstream sent part of a response although that was not asked for, and a token could be cut in two by it"}
	reasonSealed      = reason{"route-sealed", http.StatusForbidden, "nothing but the status of a response comes back on this route, so a WebSocket is of no use on it"}
	reasonUpgrade     = reason{"upstream-upgrade", http.StatusBadGateway, "the upstream's answer to the WebSocket handshake does not match it"}
)

func (r reason) because(detail string) reason {
	r.detail = detail
	return r
}

func (r reason) at(status int) reason {
	r.status = status
	return r
}

package mcp

import (
	"net/http"

	"bottled/routes"
)

// guard refuses what is not meant for this server, before a byte of the body is
// read. It returns why, or "".
//
// A browser in the bottle may run the scripts of strangers. So the Host has to be
// the magic one, which defeats rebinding of a stranger's name to the enforcer's
// address, and an Origin, if there is one, has to be the magic one too (MCP,
// Transports, Security Warning). No response ever carries a CORS field.
func guard(w http.ResponseWriter, r *http.Request) (int, string) {
	if r.URL.Path != Path {
		return http.StatusNotFound, "the MCP server is at " + Path
	}
	if !ownHost(r.Host) {
		return http.StatusForbidden, "this server answers as " + routes.MagicHost + " only"
	}
	for _, origin := range r.Header.Values("Origin") {
		if origin != "http://"+routes.MagicHost && origin != "https://"+routes.MagicHost {
			return http.StatusForbidden, "pages of other origins may not call this server"
		}
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return http.StatusMethodNotAllowed, "send a POST: every call is answered in its own response, there is no stream to listen to"
	}
	// There are no sessions. 404 is what makes a client begin anew (MCP, Transports,
	// Session Management).
	if len(r.Header.Values("Mcp-Session-Id"))+len(r.Header.Values("Last-Event-Id")) > 0 {
		return http.StatusNotFound, "there is no such session: this server gives out none"
	}
	if r.Header.Get("Content-Encoding") != "" {
		return http.StatusUnsupportedMediaType, "send the message without a content encoding"
	}
	return 0, ""
}

// ownHost reports whether the request is for the magic host on a usual port.
func ownHost(host string) bool {
	a, err := routes.ParseAuthority(host, 80)
	return err == nil && a.Host.IsMagic() && (a.Port == 80 || a.Port == 443)
}

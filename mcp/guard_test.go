package mcp_test

import (
	"net/http"
	"strings"
	"testing"

	"bottled/mcp"
)

func TestGuard(t *testing.T) {
	client := serve(t, mcp.New(newSupervisor(), quick))
	for _, c := range []struct {
		name, method, url, body string
		fields                  []string
		want                    int
	}{
		{"good", "POST", endpoint, listCall, nil, 200},
		{"own origin", "POST", endpoint, listCall, []string{"Origin: http://_egress-proxy.local"}, 200},
		{"port 80", "POST", endpoint, listCall, []string{"Host: _egress-proxy.local:80"}, 200},
		{"foreign origin", "POST", endpoint, listCall, []string{"Origin: http://evil.example"}, 403},
		{"null origin", "POST", endpoint, listCall, []string{"Origin: null"}, 403},
		{"empty origin", "POST", endpoint, listCall, []string{"Origin: "}, 403},
		{"origin on another port", "POST", endpoint, listCall, []string{"Origin: http://_egress-proxy.local:8080"}, 403},
		{"origin below", "POST", endpoint, listCall, []string{"Origin: http://_egress-proxy.local.evil.example"}, 403},
		{"two origins", "POST", endpoint, listCall, []string{"Origin: http://_egress-proxy.local", "Origin: http://evil.example"}, 403},
		{"foreign host", "POST", endpoint, listCall, []string{"Host: evil.example"}, 403},
		{"host of the proxy", "POST", endpoint, listCall, []string{"Host: egress-proxy"}, 403},
		{"host below", "POST", endpoint, listCall, []string{"Host: _egress-proxy.local.evil.example"}, 403},
		{"host above", "POST", endpoint, listCall, []string{"Host: x._egress-proxy.local"}, 403},
		{"address", "POST", endpoint, listCall, []string{"Host: 198.18.0.1"}, 403},
		{"loopback", "POST", endpoint, listCall, []string{"Host: localhost"}, 403},
		{"odd port", "POST", endpoint, listCall, []string{"Host: _egress-proxy.local:8443"}, 403},
		{"preflight", "OPTIONS", endpoint, "", []string{"Access-Control-Request-Method: POST"}, 405},
		{"preflight of a stranger", "OPTIONS", endpoint, "", []string{"Origin: http://evil.example"}, 403},
		{"stream", "GET", endpoint, "", nil, 405},
		{"end of a session", "DELETE", endpoint, "", nil, 405},
		{"session", "POST", endpoint, listCall, []string{"Mcp-Session-Id: x"}, 404},
		{"resumption", "POST", endpoint, listCall, []string{"Last-Event-ID: x_0"}, 404},
		{"another path", "POST", endpoint + "/approve", listCall, nil, 404},
		{"below the path", "POST", endpoint + "/", listCall, nil, 404},
		{"compressed", "POST", endpoint, listCall, []string{"Content-Encoding: gzip"}, 415},
		{"too large", "POST", endpoint, `{"x":"` + strings.Repeat("x", 64<<10) + `"}`, nil, 413},
		{"batch", "POST", endpoint, "[" + listCall + "]", nil, 400},
		{"empty", "POST", endpoint, "", nil, 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, text := send(t, client, c.method, c.url, c.body, c.fields...)
			if status != c.want {
				t.Errorf("status %d, want %d: %s", status, c.want, text)
			}
			if strings.Contains(text, "api.example.com") != (c.want == 200) {
				t.Errorf("%d: %s", status, text)
			}
		})
	}
}

func TestUnknownMethods(t *testing.T) {
	client := serve(t, mcp.New(newSupervisor(), quick))
	const error = `{"jsonrpc":"2.0","id":"a","error":{"code":-32601,"message":"there is no such method here"}}`
	for _, method := range []string{"proposals/approve", "Tools/Call", "resources/read", "logging/setLevel", "subscriptions/listen", "prompts/list"} {
		status, text := post(t, client, `{"jsonrpc":"2.0","id":"a","method":"`+method+`"}`)
		if status != http.StatusOK || text != error {
			t.Errorf("%s: %d %s", method, status, text)
		}
		status, text = post(t, client, `{"jsonrpc":"2.0","id":"a","method":"`+method+`"}`, "Mcp-Protocol-Version: 2026-07-28")
		if status != http.StatusNotFound || text != error {
			t.Errorf("%s in the latest revision: %d %s", method, status, text)
		}
		if status, text = post(t, client, `{"jsonrpc":"2.0","method":"`+method+`"}`); status != http.StatusAccepted || text != "" {
			t.Errorf("%s as a notification: %d %s", method, status, text)
		}
	}
}

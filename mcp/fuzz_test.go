package mcp_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"bottled/mcp"
	"bottled/proposal"
)

// Whatever a bottle sends, the server answers with a status, and nothing is
// approved. A panic in a goroutine of the SDK would end the enforcer.
func FuzzServer(f *testing.F) {
	for _, seed := range []string{
		listCall, routeCall,
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"a","version":"1"}}}`,
		`{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"egress-proxy-block","_meta":{"progressToken":[{}]},"arguments":{"host":"a.example.com","reason":"x"},"inputResponses":{"a":null},"requestState":"x"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"////"}}`,
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":null}`,
	} {
		f.Add(seed, "2025-06-18")
		f.Add(seed, "2026-07-28")
	}
	f.Fuzz(func(t *testing.T, body, revision string) {
		s := newSupervisor()
		server := mcp.New(s, mcp.Options{Wait: time.Millisecond, Progress: 100 * time.Microsecond})
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, endpoint, strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json, text/event-stream")
		req.Header.Set("Mcp-Protocol-Version", revision)
		w := httptest.NewRecorder()
		server.ServeHTTP(w, req)
		if w.Code == 0 {
			t.Error("no answer")
		}
		for _, ticket := range s.Since(t.Context(), 0).Tickets {
			if ticket.State != proposal.Waiting {
				t.Errorf("%+v", ticket)
			}
			if _, err := json.Marshal(ticket); err != nil {
				t.Error(err)
			}
		}
	})
}

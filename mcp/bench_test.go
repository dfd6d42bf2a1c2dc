package mcp_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"bottled/mcp"
)

// BenchmarkList is a whole call without the network: guard, strict parser, SDK.
func BenchmarkList(b *testing.B) {
	server := mcp.New(newSupervisor(), mcp.Options{})
	b.ReportAllocs()
	for b.Loop() {
		req := httptest.NewRequest(http.MethodPost, endpoint, strings.NewReader(listCall))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json, text/event-stream")
		w := httptest.NewRecorder()
		server.ServeHTTP(w, req)
		if w.Code != http.StatusOK {
			b.Fatal(w.Body)
		}
	}
}

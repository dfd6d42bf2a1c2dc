package api

import (
	"encoding/json"
	"net/http"
	"time"
)

// An array is an answer of many items, which become JSON one by one: no more than one is
// held beside them, however many there are.
type array[T any] []T

// ServeHTTP writes until the client has gone, or takes longer than writeTimeout.
func (a array[T]) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	before := "["
	for _, item := range a {
		if _, err := w.Write([]byte(before)); err != nil || enc.Encode(item) != nil {
			return
		}
		before = ","
	}
	if len(a) == 0 {
		_, _ = w.Write([]byte("["))
	}
	_, _ = w.Write([]byte("]\n"))
}

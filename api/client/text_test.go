package client

import (
	"strings"
	"testing"

	"bottled/api"
)

// What would arrive as something else is not sent, and no value is shown.
func TestWhatJSONWouldChangeIsRefused(t *testing.T) {
	c, _, _ := serve(t)
	fine := api.CreateRequest{Name: "n", Manifest: "version: 1\n", Command: []string{"true", "\u00ff\ufffd"}, Dir: "/\u00ff", Env: []string{"A=\u00ff"}}
	if _, err := c.Create(t.Context(), fine); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*api.CreateRequest){
		`argument "\xff"`:          func(r *api.CreateRequest) { r.Command = []string{"true", "\xff"} },
		`directory "/\xff"`:        func(r *api.CreateRequest) { r.Dir = "/\xff" },
		`variable "SECRET"`:        func(r *api.CreateRequest) { r.Env = []string{"SECRET=hidden\xff"} },
		`value of token_ref "PAT"`: func(r *api.CreateRequest) { r.Tokens = map[string]string{"PAT": "hidden\xff"} },
	} {
		r := fine
		change(&r)
		_, err := c.Create(t.Context(), r)
		if err == nil || !strings.Contains(err.Error(), what) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := c.Exec(t.Context(), "n", api.ExecRequest{Command: []string{"\xff"}}); err == nil {
		t.Error("exec: no error")
	}
	if _, err := c.UpdateRoutes(t.Context(), "n", api.RoutesRequest{Tokens: map[string]string{"PAT": "\xff"}}); err == nil {
		t.Error("routes: no error")
	}
}

// What is too much for the daemon is not sent: it would hang up in the middle.
func TestTooMuchIsRefused(t *testing.T) {
	c, _, _ := serve(t)
	r := api.CreateRequest{Manifest: "version: 1\n", Command: []string{"true", strings.Repeat("a", api.MaxBody-200)}, Dir: "/"}
	if _, err := c.Create(t.Context(), r); err != nil {
		t.Fatal("the control: ", err)
	}
	r.Command = append(r.Command, strings.Repeat("a", 200))
	if _, err := c.Create(t.Context(), r); err == nil || !strings.Contains(err.Error(), "and it takes 1048576") {
		t.Errorf("got %v", err)
	}
}

package scenario

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// another has the shape of spilled, and is another.
const another = "ghp_B4xW9kLm2Tq7Vn5Rc8Yz1Jp6Hd3Sf0GuEaIo"

// send is a shell command that prints the status of a POST and, of a refusal, its body.
func send(path, secret string) string {
	return fmt.Sprintf("curl -sS -w ' %%{http_code}\\n' -H 'Content-Type: text/plain' -d 'key %s end' https://api.example.com%s", secret, path)
}

// TestOneMatchIsExempted follows a refusal through the agent's tool and the
// operator's approval to what passes then, under a later daemon too, and in a
// manifest.
func TestOneMatchIsExempted(t *testing.T) {
	w := newWorld(t)
	up := w.https(t, "api.example.com", swallow)
	manifest := w.manifest(`
- {host: api.example.com, path_allowlist: [/a], allow_private: [127.0.0.0/8]}
- {host: api.example.com, path_allowlist: [/b], allow_private: [127.0.0.0/8]}
`)
	w.background(t, bottle{manifest: manifest, flags: []string{"--name", "agent"}}, "sleep", "600")
	eventually(t, "the bottle runs", 20*time.Second, func() error {
		if list := w.list(t); len(list) != 1 || list[0].State != "running" {
			return fmt.Errorf("%+v", list)
		}
		return nil
	})
	inside := func(script string) string {
		return w.client(t, nil, "exec", "agent", "--", "sh", "-c", script).stdout
	}
	encoded := base64.StdEncoding.EncodeToString([]byte("see " + spilled))
	check := func(when string, want map[string]string) {
		t.Helper()
		for what, status := range want {
			path, secret, _ := strings.Cut(what, " ")
			before := len(up.Requests())
			out := inside(send(path, secret))
			if !strings.HasSuffix(strings.TrimSpace(out), status) {
				t.Errorf("%s, %s to %s: %s", when, secret, path, out)
			}
			if left := len(up.Requests()) > before && strings.Contains(string(up.Requests()[before].Body), secret); left != (status == "200") {
				t.Errorf("%s, %s to %s: it left: %v", when, secret, path, left)
			}
		}
	}
	check("before", map[string]string{"/a " + spilled: "403", "/a " + encoded: "403", "/a " + another: "403", "/a nothing": "200"})

	var refusal struct {
		RequestID string `json:"request_id"`
	}
	text, _, _ := strings.Cut(inside(send("/a", spilled)), "\n")
	if err := json.Unmarshal([]byte(text), &refusal); err != nil || refusal.RequestID == "" {
		t.Fatalf("%v: %s", err, text)
	}
	answer := make(chan string, 1)
	go func() {
		answer <- inside(`curl -sS -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' -d '
{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"pipelock-block","arguments":{"rule":"github-pat","host":"api.example.com","request_id":"` + refusal.RequestID + `","reason":"it is a sample"}}}
' http://_egress-proxy.local/mcp`)
	}()
	var fingerprint string
	eventually(t, "the proposal is shown", 20*time.Second, func() error {
		list := w.client(t, nil, "proposals").stdout
		shown := regexp.MustCompile(`exemption from rule github-pat: match ([0-9a-f]{16}) alone, of request ` + refusal.RequestID + `, on the route to api.example.com: every method on /a\n`).FindStringSubmatch(list)
		if shown == nil {
			return fmt.Errorf("%q", list)
		}
		fingerprint = shown[1]
		return nil
	})
	if events := w.events(t, "--bottle", "agent"); !strings.Contains(fmt.Sprintf("%+v", events), fingerprint) {
		t.Errorf("no event has the fingerprint %s", fingerprint)
	}
	if r := w.client(t, nil, "approve", "agent/1"); r.code != 0 {
		t.Fatal(r)
	}
	if told := <-answer; !strings.Contains(told, "approved") || strings.Contains(told, fingerprint) {
		t.Errorf("the agent is told %s", told)
	}
	exempt := map[string]string{
		"/a " + spilled: "200", "/a " + encoded: "200", // the match, in whatever encoding
		"/a " + another: "403", "/b " + spilled: "403", "/b " + encoded: "403", // another match, another route
		"/a " + spilled + " " + another: "403",
	}
	check("approved", exempt)
	w.kill(t)
	w.start(t)
	check("under the next daemon", exempt)

	named := w.manifest(`
- {host: api.example.com, path_allowlist: [/a], allow_private: [127.0.0.0/8], dlp: {exempt: [{rule: github-pat, fingerprint: "` + fingerprint + `"}]}}
- {host: api.example.com, path_allowlist: [/b], allow_private: [127.0.0.0/8]}
`)
	r := w.sh(t, bottle{manifest: named}, send("/a", spilled)+"\n"+send("/a", another)+"\n"+send("/b", spilled))
	if got := regexp.MustCompile(`(\d+)\n`).FindAllString(r.stdout, -1); strings.Join(got, "") != "200\n403\n403\n" {
		t.Errorf("named by a manifest: %v", r)
	}
}

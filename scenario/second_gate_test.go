package scenario

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// spilled has the shape of a credential, and is none.
const spilled = "ghp_x7Kp2mQ9vR4tY8wZ1nB6cD3fG5hJ0L4MNObN"

func swallow(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }

// TestWhatLeavesIsScanned sends a credential out of a bottle: of the shape of one,
// and the bottle's own, which no program in it knows.
func TestWhatLeavesIsScanned(t *testing.T) {
	w := newWorld(t)
	up := w.https(t, "api.example.com", swallow)
	loose := w.https(t, "loose.example.com", swallow)
	b := bottle{
		manifest: w.manifest(`
- {host: api.example.com, allow_private: [127.0.0.0/8], auth: {scheme: Bearer, token_ref: API_TOKEN}}
- {host: loose.example.com, allow_private: [127.0.0.0/8], dlp: {mode: warn}}
`), env: []string{"API_TOKEN=" + token},
	}
	r := w.sh(t, b, fmt.Sprintf(`
		curl -sS -d 'note=%[1]s' https://api.example.com/
		curl -sS -H 'X-Note: %[1]s' https://api.example.com/
		curl -sS -d 'the key is %[2]s' https://loose.example.com/
		curl -sS -o /dev/null -w 'benign %%{http_code}\n' -d 'note=nothing' https://api.example.com/
		curl -sS -o /dev/null -w 'warned %%{http_code}\n' -d 'note=%[1]s' https://loose.example.com/`, spilled, token))
	for what, count := range map[string]int{`"tool":"pipelock-block"`: 3, `"rule":"github-pat"`: 2, `"rule":"secret:EGRESS_PROXY_TOKEN_0"`: 1, "benign 200": 1, "warned 200": 1} {
		if got := strings.Count(r.stdout, what); got != count {
			t.Errorf("%d times %s, want %d, in %v", got, what, count, r)
		}
	}
	for _, s := range []string{spilled, token} {
		if strings.Contains(r.stdout, s) {
			t.Errorf("%s is shown: %v", s, r)
		}
	}
	for _, r := range up.Requests() {
		if text := string(r.Body) + r.Header.Get("X-Note"); strings.Contains(text, spilled) {
			t.Errorf("it left: %s %s %q", r.Method, r.Target, text)
		}
	}
	for _, want := range []string{`"rule":"github-pat"`, `"rule":"secret:EGRESS_PROXY_TOKEN_0"`, `"where":"header X-Note"`, `"fingerprint":"`} {
		eventually(t, "the audit log has "+want, 10*time.Second, func() error {
			text, err := os.ReadFile(w.audit)
			if err == nil && !strings.Contains(string(text), want) {
				err = fmt.Errorf("no %s in %s", want, text)
			}
			if strings.Contains(string(text), spilled) || strings.Contains(string(text), token) {
				t.Errorf("the match is in the audit log: %s", text)
			}
			return err
		})
	}
	left := loose.Requests()
	if len(left) == 0 || string(left[len(left)-1].Body) != "note="+spilled {
		t.Errorf("the route that warns did not pass it: %+v", left)
	}
	for _, r := range left {
		if strings.Contains(string(r.Body), token) {
			t.Error("the bottle's own token left")
		}
	}
}

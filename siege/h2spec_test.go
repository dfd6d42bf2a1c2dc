package siege

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/summerwind/h2spec"
	"github.com/summerwind/h2spec/config"
)

// conformanceArg0 is the name under which the test binary runs h2spec against a host.
const conformanceArg0 = "siege-h2spec"

func conformanceMain() int {
	ok, err := h2spec.Run(&config.Config{
		Host: os.Args[1], Port: 443, Path: "/", Timeout: 2 * time.Second, MaxHeaderLen: 4000, TLS: true, Insecure: true,
	})
	if err != nil {
		fmt.Println("h2spec:", err)
		return 2
	}
	if !ok {
		return 1
	}
	return 0
}

// explained are the failures of h2spec that are the server's (net/http) right or choice.
var explained = map[string]string{
	"Sends a large size HEADERS frame that exceeds the SETTINGS_MAX_FRAME_SIZE":                      "the enforcer offers frames of 1 MiB; what h2spec sends does not exceed that, and is answered",
	"Sends multiple values of SETTINGS_INITIAL_WINDOW_SIZE":                                          "a setting that is given twice in one frame ends the connection: golang.org/x/net/http2 takes it for an attack",
	"Sends a HEADERS frame that contains the connection-specific header field":                       "answered with 400 and not forwarded, which RFC 9113, section 8.1.1, allows before the stream is closed",
	"Sends a HEADERS frame that contains the TE header field with any value other than \"trailers\"": "likewise",
}

// TestHTTP2Conformance runs h2spec (RFC 7540 and 7541) from a bottle against its enforcer.
func TestHTTP2Conformance(t *testing.T) {
	d := newDaemon(t)
	b := d.bottle(t, options{})
	said, err := b.do(order{Op: "sh", Data: "exec -a " + conformanceArg0 + " ./" + agentArg0 + " " + allowedHost})
	text := said.Body
	if err != nil {
		text = err.Error()
	}
	summary := regexp.MustCompile(`(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed`).FindStringSubmatch(text)
	if summary == nil {
		t.Fatalf("h2spec came to no end: %s", text)
	}
	t.Log(summary[0])
	failures := regexp.MustCompile(`× \d+: (.*)`).FindAllStringSubmatch(text[strings.Index(text, "Failures:")+1:], -1)
	for _, f := range failures {
		if why, ok := explained[f[1]]; ok {
			t.Logf("%s: %s", f[1], why)
		} else {
			t.Errorf("failed: %s: %s", f[1], text)
		}
	}
}

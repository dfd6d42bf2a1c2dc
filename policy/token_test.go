package policy

import (
	"strings"
	"testing"
)

const heldPolicy = `tokens:
  - {ref: "credential:gh", groups: [2000], hosts: [api.github.com, "git.example.com:8443"]}
`

func auth(host, ref, more string) string {
	return route(`host: ` + host + `, auth: {scheme: Bearer, token_ref: "` + ref + `"}` + more)
}

func TestWhereAHeldTokenGoes(t *testing.T) {
	p := parse(t, heldPolicy)
	for _, text := range []string{
		auth("api.github.com", "credential:gh", ""),
		auth("API.GitHub.com.", "credential:gh", ""),
		auth("api.github.com", "credential:gh", ", ports: [443]"),
		auth("git.example.com", "credential:gh", ", ports: [8443]"),
	} {
		if err := checkManifest(t, p, alice, text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for name, text := range map[string]string{
		"another host":            auth("evil.example.com", "credential:gh", ""),
		"another port":            auth("api.github.com", "credential:gh", ", ports: [8443]"),
		"a port beside":           auth("git.example.com", "credential:gh", ", ports: [8443, 8444]"),
		"the default port":        auth("git.example.com", "credential:gh", ""),
		"one of two routes":       auth("api.github.com", "credential:gh", "") + "    - {host: evil.example.com, auth: {scheme: Bearer, token_ref: \"credential:gh\"}}\n",
		"an authority of theirs":  auth("api.github.com", "credential:gh", "") + "upstream_ca: mine.pem\n",
		"a proxy of theirs":       auth("api.github.com", "credential:gh", "") + "upstream_proxy: {url: \"https://mitm.example.com:443\"}\n",
		"a subdomain":             auth("x.api.github.com", "credential:gh", ""),
		"another token in a file": auth("api.github.com", "file:/etc/shadow", ""),
		"a command of theirs":     auth("api.github.com", "command:/bin/cat /etc/shadow", ""),
		"another credential":      auth("api.github.com", "credential:gh2", ""),
	} {
		err := checkManifest(t, p, alice, text)
		if err == nil {
			t.Errorf("%s: allowed", name)
		} else if !strings.Contains(err.Error(), "token_ref") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAStrangerLearnsNothingOfTokens: what is not there and what is not theirs are
// the same answer.
func TestAStrangerLearnsNothingOfTokens(t *testing.T) {
	p := parse(t, heldPolicy)
	for _, s := range []Subject{mallory, rootUser} {
		held := checkManifest(t, p, s, auth("api.github.com", "credential:gh", ""))
		none := checkManifest(t, p, s, auth("api.github.com", "credential:no", ""))
		if held == nil || none == nil || strings.ReplaceAll(held.Error(), ":gh", ":no") != none.Error() {
			t.Errorf("uid %d: %q and %q", s.UID, held, none)
		}
		if _, _, err := p.Token(t.Context(), s, "credential:gh", 0); err == nil {
			t.Errorf("uid %d was given the token", s.UID)
		}
	}
}

func TestATokenIsFetchedForWhoMayUseIt(t *testing.T) {
	p := parse(t, "tokens: [{ref: \"command:/bin/echo t0ken\", users: [1000], hosts: [a.example.com]}]\n")
	got, expires, err := p.Token(t.Context(), alice, "command:/bin/echo t0ken", 0)
	if err != nil || got.Reveal() != "t0ken" || !expires.IsZero() {
		t.Errorf("%v, %v", expires, err)
	}
}

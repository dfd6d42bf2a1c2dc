package routes

import (
	"fmt"
	"strings"
	"testing"
)

func TestUpstreamProxyCredential(t *testing.T) {
	for _, c := range []struct{ url, auth, value string }{
		{"https://proxy.example.com:3129", "{username: ci, token_ref: PW}", "Basic Y2k6c2VjcmV0"},
		{"https://proxy.example.com:3129", "{scheme: Basic, username: ci, token_ref: PW}", "Basic Y2k6c2VjcmV0"},
		{"https://proxy.example.com:3129", "{scheme: Bearer, token_ref: PW}", "Bearer secret"},
		{"http://proxy.example.com:3128", "{username: ci, token_ref: PW, cleartext: true}", "Basic Y2k6c2VjcmV0"},
		{"http://127.0.0.1:3128", "{username: ci, token_ref: PW}", "Basic Y2k6c2VjcmV0"},
		{"http://[::1]:3128", "{username: ci, token_ref: PW}", "Basic Y2k6c2VjcmV0"},
	} {
		text := "version: 1\negress_proxy: {routes: [{host: a.example.com, auth: {scheme: Bearer, token_ref: PW}}]}\n" +
			"upstream_proxy: {url: \"" + c.url + "\", auth: " + c.auth + "}\n"
		m, err := ParseManifest("bottle.yaml", []byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		p := m.UpstreamProxy
		if p.String() != c.url || p.Auth.Value("secret") != c.value || p.Auth.Slot != ProxySlot || p.TokenRef.String() != "PW" {
			t.Errorf("%s: %s %+v %s", text, p, p.Auth, p.TokenRef)
		}
		// The slot is the proxy's own, also where a route has the same token.
		e, err := m.Effective()
		if err != nil || len(e.Slots) != 2 || e.Slots[0].Name != slotName(0) || e.Slots[1] != (Slot{ProxySlot, p.TokenRef}) {
			t.Errorf("%s: %v, %v", text, e.Slots, err)
		}
		warned := strings.Contains(fmt.Sprint(m.Warnings()), "bottle.yaml:3: upstream_proxy.auth: the credential goes to "+c.url+" in the clear")
		if warned != strings.Contains(c.auth, "cleartext") {
			t.Errorf("%s: %v", text, m.Warnings())
		}
		if err := CheckSlots(e.Slots); err != nil {
			t.Error(err)
		}
	}
	if _, err := Parse([]byte(`{"routes": [{"host": "a.example.com", "auth_scheme": "Bearer", "token_env": "`+ProxySlot+`"}]}`), 1); err == nil {
		t.Error("a route was given the credential of the proxy")
	}
}

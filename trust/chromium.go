package trust

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"path"
)

// policyDirs are where the browsers that are made of Chromium read policies. They ignore the
// system's roots, on Linux too.
var policyDirs = []string{
	"/etc/chromium/policies/managed",         // Chromium, Playwright's and Puppeteer's builds of it
	"/etc/chromium-browser/policies/managed", // Ubuntu's old package
	"/etc/opt/chrome/policies/managed",
	"/etc/opt/chrome_for_testing/policies/managed",
	"/etc/opt/edge/policies/managed",
	"/etc/brave/policies/managed",
}

// addChromium gives each browser the authority as a policy. A policy of the host in
// another file of the directory stays; on a policy that is in both, a browser takes
// one and says so on chrome://policy.
func (h *Host) addChromium(l *Layer, ca *x509.Certificate) error {
	policy, err := json.Marshal(map[string]any{
		"CACertificates": []string{base64.StdEncoding.EncodeToString(ca.Raw)},
		// It would look for the resolver's own encrypted service first, and fail there.
		"DnsOverHttpsMode": "off",
	})
	if err != nil {
		return err
	}
	for _, dir := range policyDirs {
		if name, ok := resolve(h.fsys, path.Join(dir, "bottled.json")); ok {
			l.Files[name] = policy
		}
	}
	return nil
}

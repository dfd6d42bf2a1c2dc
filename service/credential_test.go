package service

import (
	"slices"
	"strings"
	"testing"
)

// registry is an upstream in the box: HTTPS under an authority that the box trusts, on a
// private address of its own. It writes down the credential that came.
const registry = `
set -e
cd /root
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=box -keyout ca.key -out ca.pem
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=registry.test -keyout leaf.key -out leaf.csr
openssl x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out leaf.pem -extfile <(echo subjectAltName=DNS:registry.test)
cat ca.pem >> /etc/ssl/certs/ca-certificates.crt
ip address add 10.77.0.1/32 dev lo
echo 10.77.0.1 registry.test >> /etc/hosts
cat > registry.py <<'P'
import http.server, ssl
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        open("/root/seen", "w").write(self.headers.get("Authorization", "none"))
        self.send_response(204); self.end_headers()
s = http.server.HTTPServer(("10.77.0.1", 443), H)
c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); c.load_cert_chain("leaf.pem", "leaf.key")
s.socket = c.wrap_socket(s.socket, server_side=True)
s.serve_forever()
P
systemd-run --quiet --unit registry --working-directory /root python3 registry.py
`

const registryPolicy = `version: 1
tokens:
  - ref: credential:registry
    users: [tester]
    hosts: [registry.test]
`

const registryManifest = `version: 1
egress_proxy:
  routes:
    - host: registry.test
      allow_private: [10.77.0.0/16]
      auth: {scheme: Bearer, token_ref: "credential:registry"}
`

// TestLoadCredential has systemd hold a secret: the unit gets it, the upstream gets it, and
// the user who launches with it does not.
func TestLoadCredential(t *testing.T) {
	const secret = "s3rv1ce-cr3d3nt1al-0f-the-b0x"
	b := newBox(t)
	b.run(t, "bash", "-c", registry)
	for path, text := range map[string]string{
		"/etc/bottled/secret":                                 secret + "\n",
		"/etc/bottled/policy.yaml":                            registryPolicy,
		"/home/tester/m.yaml":                                 registryManifest,
		"/home/stranger/m.yaml":                               registryManifest,
		"/etc/systemd/system/bottled.service.d/registry.conf": "[Service]\nLoadCredential=registry:/etc/bottled/secret\n",
	} {
		b.run(t, "bash", "-c", `mkdir -p "$(dirname "$1")"; umask "$3"; printf %s "$2" > "$1"`, "-", path, text, map[bool]string{true: "077", false: "022"}[strings.HasSuffix(path, "/secret")])
	}
	b.run(t, "gpasswd", "-a", stranger, "bottled") // who may launch, and may not use it
	b.run(t, "systemctl", "daemon-reload")
	b.run(t, "systemctl", "start", "bottled")
	until(t, "the registry answers", func() bool {
		_, err := b.try("curl", "-sSf", "-o", "/dev/null", "https://registry.test/")
		return err == nil
	})

	const get = "bottled run --manifest m.yaml -- curl -sS -o /dev/null -w '%{http_code}' https://registry.test/"
	if out := b.run(t, as(tester, get)...); out != "204" {
		t.Errorf("the bottle got %q", out)
	}
	if seen := b.run(t, "cat", "/root/seen"); seen != "Bearer "+secret {
		t.Errorf("the registry saw %q", seen)
	}
	if out, err := b.try(as(stranger, get)...); err == nil || !strings.Contains(out, "credential:registry") {
		t.Errorf("somebody whom the policy does not name: %q, %v", out, err)
	}

	// Root finds it where the operator put it, which shows that the search can; the pattern
	// does not match itself.
	const search = `grep -rslE "s3rv1ce-cr3d3nt1al[-]0f-the-b0x" /etc /run /var/log /home /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null; true`
	b.run(t, as(tester, "bottled run --detach --manifest m.yaml --name holder -- sleep 100")...)
	found := strings.Fields(b.run(t, "bash", "-c", search))
	slices.Sort(found)
	if want := []string{"/etc/bottled/secret", "/run/credentials/bottled.service/registry"}; !slices.Equal(found, want) {
		t.Errorf("root finds it in %q, want %q", found, want)
	}
	for _, where := range []string{"", "bottled exec holder -- "} {
		if out := b.run(t, as(tester, where+"bash -c '"+search+"'")...); out != "" {
			t.Errorf("its user finds it by %q: %s", where+"grep", out)
		}
	}
	b.run(t, as(tester, "bottled stop holder")...)
}

// Command demo shows what a bottle does, against an upstream of its own: what is
// allowed, what is denied, what is injected, and what goes nowhere. Every line is
// a measurement: what the program in the bottle saw, and what reached the
// upstream. It fails where one is not as it should be.
//
//	sudo go run ./scripts/demo bin/bottled
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"bottled/upstreamtest"
)

// token is what the demonstration injects. It is made up.
const token = "demo-token-5f1c"

func main() {
	if len(os.Args) != 2 || os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "usage, as root: demo PATH-OF-BOTTLED")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// demo is the world in which the demonstration takes place.
type demo struct {
	bottled  string
	dir      string // of the manifest; the bottles' working directory is in it
	upstream *upstreamtest.Server
	names    *upstreamtest.NameServer
}

func run(bottled string) error {
	d, err := setUp(bottled)
	if err != nil {
		return err
	}
	defer os.RemoveAll(d.dir)
	defer d.upstream.Close()
	defer d.names.Close()
	var failed []error
	for _, s := range scenes {
		if err := d.play(s); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", s.title, err))
		}
	}
	return errors.Join(failed...)
}

func setUp(bottled string) (*demo, error) {
	path, err := filepath.Abs(bottled)
	if err != nil {
		return nil, err
	}
	authority, err := upstreamtest.NewAuthority()
	if err != nil {
		return nil, err
	}
	names, err := upstreamtest.NewNameServer()
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"api.demo.example", "other.demo.example"} {
		names.Set(name, netip.MustParseAddr("127.0.0.1"))
	}
	// The upstream echoes what it was sent, as a debug endpoint would.
	upstream, err := upstreamtest.TLS("127.0.0.1:0", authority, []string{"api.demo.example", "other.demo.example"},
		func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "you are at %s and sent authorization %q\n", r.URL.Path, r.Header.Get("Authorization"))
		})
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "bottled-demo-")
	if err != nil {
		return nil, err
	}
	manifest := fmt.Sprintf(`version: 1
defaults: false
upstream_ca: |
  %s
egress_proxy:
  routes:
    - host: api.demo.example
      ports: [%s]
      path_allowlist: ["/user", "/repos/*/issues"]
      auth: {scheme: Bearer, token_ref: DEMO_TOKEN}
      allow_private: [127.0.0.0/8]
`, strings.ReplaceAll(strings.TrimSpace(string(authority.PEM())), "\n", "\n  "), upstream.Port())
	fmt.Println("The manifest:")
	fmt.Println(indent(manifest))
	return &demo{path, dir, upstream, names}, errors.Join(
		os.WriteFile(filepath.Join(dir, "bottled.yaml"), []byte(manifest), 0o644), os.Mkdir(filepath.Join(dir, "work"), 0o755))
}

// scene is one thing to show.
type scene struct {
	title  string
	script string                                                 // run by bash in a bottle; $PORT is the upstream's
	judge  func(out string, reached []upstreamtest.Request) error // nil: as it should be
}

// play runs the scene in a bottle and prints what came of it.
func (d *demo) play(s scene) error {
	before, asked := len(d.upstream.Requests()), len(d.names.Asked())
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	script := strings.ReplaceAll(s.script, "$PORT", d.upstream.Port())
	cmd := exec.CommandContext(ctx, d.bottled, "run", "--resolver", d.names.Addr(),
		"--manifest", filepath.Join(d.dir, "bottled.yaml"), "--dir", filepath.Join(d.dir, "work"), "--", "bash", "-c", script)
	// A daemon that serves this host has another resolver; and who called sudo may not
	// enter our directory.
	cmd.Env = append(os.Environ(), "DEMO_TOKEN="+token, "BOTTLED_SOCKET="+filepath.Join(d.dir, "no.sock"), "SUDO_UID=0")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	start := time.Now()
	err := cmd.Run()
	took := time.Since(start)
	reached := d.upstream.Requests()[before:]
	fmt.Printf("── %s\n", s.title)
	fmt.Println(indent("$ " + script))
	fmt.Println(indent(out.String()))
	fmt.Printf("   reached the upstream: %s; names asked of the resolver: %d; bottle from start to end: %d ms\n",
		summary(reached), len(d.names.Asked())-asked, took.Milliseconds())
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	if err := s.judge(out.String(), reached); err != nil {
		fmt.Printf("   NOT AS IT SHOULD BE: %v\n\n", err)
		return err
	}
	fmt.Print("   as it should be\n\n")
	return nil
}

func summary(reached []upstreamtest.Request) string {
	if len(reached) == 0 {
		return "nothing"
	}
	var parts []string
	for _, r := range reached {
		with := "without a credential"
		if r.Header.Get("Authorization") == "Bearer "+token {
			with = "with the injected credential"
		}
		parts = append(parts, fmt.Sprintf("%s %s %s", r.Method, r.Target, with))
	}
	return strings.Join(parts, ", ")
}

func indent(s string) string {
	return "   " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n   ")
}

package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"bottled/upstreamtest"
)

// upstreamName is what the upstream is authentic for.
const upstreamName = "api.bench.example"

// world is a daemon of the measurement's own, and an upstream.
type world struct {
	bottled  string
	dir      string // state, manifest, a copy of this program
	socket   string
	daemon   *exec.Cmd
	upstream *upstreamtest.Bare
	names    *upstreamtest.NameServer
}

func newWorld(bottled string) (*world, error) {
	authority, err := upstreamtest.NewAuthority()
	if err != nil {
		return nil, err
	}
	names, err := upstreamtest.NewNameServer()
	if err != nil {
		return nil, err
	}
	names.Set(upstreamName, netip.MustParseAddr("127.0.0.1"))
	body := []byte(strings.Repeat("x", 1<<10))
	upstream, err := upstreamtest.NewBare(authority, upstreamName, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "bottled-bench-")
	if err != nil {
		return nil, err
	}
	w := &world{bottled: bottled, dir: dir, socket: filepath.Join(dir, "bottled.sock"), upstream: upstream, names: names}
	manifest := fmt.Sprintf(`version: 1
defaults: false
upstream_ca: |
  %s
egress_proxy:
  routes:
    - host: %s
      ports: [%d]
      path_allowlist: ["/"]
      allow_private: [127.0.0.0/8]
`, strings.ReplaceAll(strings.TrimSpace(string(authority.PEM())), "\n", "\n  "), upstreamName, upstream.Port)
	self, err := os.Executable()
	if err == nil {
		err = copyFile(self, w.loader())
	}
	err = errors.Join(err,
		os.Chmod(dir, 0o755),
		os.WriteFile(w.manifest(), []byte(manifest), 0o644),
		os.WriteFile(filepath.Join(dir, "ca.pem"), authority.PEM(), 0o644))
	if err != nil {
		w.close()
		return nil, err
	}
	return w, w.serve()
}

func (w *world) manifest() string { return filepath.Join(w.dir, "bottled.yaml") }
func (w *world) loader() string   { return filepath.Join(w.dir, "load") }

// serve starts the daemon and waits until it answers.
func (w *world) serve() error {
	w.daemon = exec.Command(w.bottled, "daemon", "--socket", w.socket, "--state-dir", filepath.Join(w.dir, "state"),
		"--resolver", w.names.Addr(), "--log-level", "error")
	w.daemon.Stderr = os.Stderr
	if err := w.daemon.Start(); err != nil {
		return err
	}
	for range 200 {
		if exec.Command(w.bottled, "ls", "--socket", w.socket).Run() == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return errors.New("the daemon does not answer")
}

// run is the command that runs argv in a bottle.
func (w *world) run(flags []string, argv ...string) *exec.Cmd {
	args := append([]string{"run", "--socket", w.socket, "--manifest", w.manifest(), "--dir", w.dir}, flags...)
	cmd := exec.Command(w.bottled, append(append(args, "--"), argv...)...)
	cmd.Stderr = os.Stderr
	return cmd
}

func (w *world) close() {
	if w.daemon != nil && w.daemon.Process != nil {
		_ = w.daemon.Process.Signal(os.Interrupt)
		_ = w.daemon.Wait()
	}
	_ = w.upstream.Close()
	_ = w.names.Close()
	_ = syscall.Unmount(filepath.Join(w.dir, "state", "bpf"), syscall.MNT_DETACH) // where the host has no BPF file system
	_ = os.RemoveAll(w.dir)
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o755)
}

package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
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
	upstream *exec.Cmd
	address  string // of the upstream
	names    *upstreamtest.NameServer

	bottle  string // whose requests are measured; see prepare
	worker  int    // its enforcer
	relay   *exec.Cmd
	relayed string // where the relay listens
}

func newWorld(bottled string) (*world, error) {
	names, err := upstreamtest.NewNameServer()
	if err != nil {
		return nil, err
	}
	names.Set(upstreamName, netip.MustParseAddr("127.0.0.1"))
	dir, err := os.MkdirTemp("", "bottled-bench-")
	if err != nil {
		return nil, err
	}
	w := &world{bottled: bottled, dir: dir, socket: filepath.Join(dir, "bottled.sock"), names: names}
	if err := w.furnish(); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// furnish starts the upstream and the daemon.
func (w *world) furnish() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := errors.Join(os.Chmod(w.dir, 0o755), os.Mkdir(w.shared(), 0o755), copyFile(self, w.loader())); err != nil {
		return err
	}
	if w.upstream, w.address, err = w.start("upstream", w.dir); err != nil {
		return err
	}
	authority, err := os.ReadFile(filepath.Join(w.dir, "ca.pem"))
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(w.address)
	if err != nil {
		return err
	}
	manifest := fmt.Sprintf(`version: 1
defaults: false
upstream_ca: |
  %s
egress_proxy:
  routes:
    - host: %s
      ports: [%s]
      path_allowlist: ["/"]
      allow_private: [127.0.0.0/8]
`, strings.ReplaceAll(strings.TrimSpace(string(authority)), "\n", "\n  "), upstreamName, port)
	if err := os.WriteFile(w.manifest(), []byte(manifest), 0o644); err != nil {
		return err
	}
	return w.serve()
}

// start runs this program in another role and returns the first line that it prints:
// where it listens.
func (w *world) start(role string, args ...string) (*exec.Cmd, string, error) {
	cmd := exec.Command(w.loader(), append([]string{role}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return cmd, "", fmt.Errorf("%s: %w", role, err)
	}
	return cmd, strings.TrimSpace(line), nil
}

// host is the upstream as the client names it.
func (w *world) host() string {
	_, port, _ := net.SplitHostPort(w.address) // furnish has split it before
	return net.JoinHostPort(upstreamName, port)
}

func (w *world) manifest() string { return filepath.Join(w.dir, "bottled.yaml") }
func (w *world) shared() string   { return filepath.Join(w.dir, "shared") } // with the bottles
func (w *world) loader() string   { return filepath.Join(w.shared(), "load") }

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
	args := append([]string{"run", "--socket", w.socket, "--manifest", w.manifest(), "--dir", w.shared()}, flags...)
	cmd := exec.Command(w.bottled, append(append(args, "--"), argv...)...)
	cmd.Stderr = os.Stderr
	return cmd
}

func (w *world) close() {
	if w.bottle != "" {
		_ = exec.Command(w.bottled, "stop", "--socket", w.socket, w.bottle).Run()
	}
	if w.daemon != nil && w.daemon.Process != nil {
		_ = w.daemon.Process.Signal(os.Interrupt)
		_ = w.daemon.Wait()
	}
	for _, cmd := range []*exec.Cmd{w.relay, w.upstream} {
		if cmd != nil && cmd.Process != nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
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

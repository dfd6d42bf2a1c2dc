package bottle

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"bottled/attack"
	"bottled/audit"
	"bottled/cgroup"
)

// kernelEvents keeps the kernel's refusals.
type kernelEvents struct {
	mu  sync.Mutex
	all []audit.Event
}

func (k *kernelEvents) Record(e audit.Event) {
	if e.Kind == audit.Kernel {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.all = append(k.all, e)
	}
}

func (k *kernelEvents) has(reason string, port uint16) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, e := range k.all {
		if e.Reason == reason && e.OriginalDst.Port() == port {
			return true
		}
	}
	return false
}

func (k *kernelEvents) any() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.all) > 0
}

// service listens on the host's loopback, by TCP and UDP.
func service(t *testing.T) (port uint16, datagrams net.PacketConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	datagrams, err = net.ListenPacket("udp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { datagrams.Close() })
	return uint16(l.Addr().(*net.TCPAddr).Port), datagrams
}

// takenOver runs a line of bash as somebody would who runs code in the enforcer of a
// bottle and is past its filters: as its user, in its cgroup. The zero Info is a process
// that nothing holds.
func takenOver(m *Manager, i Info, line string) error {
	cmd := exec.Command("timeout", "5", "bash", "-c", line)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if i.ID != "" {
		g, err := cgroup.Open(m.paths(i.ID).worker())
		if err != nil {
			return err
		}
		defer g.Close()
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, g.FD()
		cmd.SysProcAttr.Credential.Uid = workerID(g.ID())
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func TestAttackEnforcerTakenOver(t *testing.T) {
	var log journal
	var kernel kernelEvents
	m, err := NewManager(t.Context(), Options{
		Run: runDir(t), Instance: HostInstance + "-" + newID()[:8], Audit: &kernel, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	granted, _ := service(t)
	other, datagrams := service(t)
	manifest := func(port uint16) []byte {
		return fmt.Appendf(nil, "version: 1\ndefaults: false\negress_proxy: {routes: [{host: db.example.com, protocol: tcp, ports: [%d], allow_private: [127.0.0.0/8]}]}\n", port)
	}
	info, err := m.Create(t.Context(), root, CreateOptions{Command: []string{"sleep", "1000"}, Dir: workDir(t), User: &someone, Manifest: manifest(granted)})
	if err != nil {
		t.Fatal(err)
	}
	tcp := func(port uint16) string { return fmt.Sprintf("exec 3<>/dev/tcp/127.0.0.1/%d", port) }
	udp := fmt.Sprintf("echo canary >/dev/udp/127.0.0.1/%d", other)
	stopped := func(m *Manager, id, name, line string, arrived func() error) {
		t.Helper()
		try := func(i Info) attack.Probe {
			return func(*testing.T) error { return errors.Join(takenOver(m, i, line), arrived()) }
		}
		attack.Stopped(t, id, name+", from an enforcer that was taken over", try(Info{}), try(info))
	}
	always := func() error { return nil }
	datagram := func() error {
		_ = datagrams.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		_, _, err := datagrams.ReadFrom(make([]byte, 100))
		return err
	}
	reaches := func(m *Manager, port uint16) {
		t.Helper()
		if err := takenOver(m, info, tcp(port)); err != nil {
			t.Errorf("port %d, which its table opens: %v", port, err)
		}
	}

	stopped(m, "K25", "a service on the host's loopback", tcp(other), always)
	stopped(m, "T12", "UDP to the host's loopback", udp, datagram)
	reaches(m, granted)
	if !waitFor(func() bool { return kernel.has("enforcer-connect-destination", other) }) {
		t.Error("the audit log has nothing of it")
	}
	if !strings.Contains(log.String(), "may be in somebody else's hands") {
		t.Errorf("the log has nothing of it: %s", log.String())
	}

	// The next table opens the one and closes the other; so it stays with the next daemon.
	if _, _, err := m.UpdateRoutes(t.Context(), root, info.ID, "m", manifest(other), nil, nil); err != nil {
		t.Fatal(err)
	}
	reaches(m, other)
	stopped(m, "K25", "what the table before opened", tcp(granted), always)
	b := m.bottles[info.ID]
	b.record.Generation-- // so that the enforcer refuses what comes next
	if _, _, err := m.UpdateRoutes(t.Context(), root, info.ID, "m", manifest(granted), nil, nil); err == nil {
		t.Fatal("the enforcer took a generation twice")
	}
	b.record.Generation++
	reaches(m, other)
	stopped(m, "K25", "what a table that was refused would have opened", tcp(granted), always)

	// A table whose update ended without an answer may come into force yet: no other has its number.
	b.unsure = b.Info().Generation + 3
	if generation, _, err := m.UpdateRoutes(t.Context(), root, info.ID, "m", manifest(other), nil, nil); err != nil || generation != b.unsure+1 {
		t.Errorf("generation %d after one that is unsure, %d: %v", generation, b.unsure, err)
	}
	reaches(m, other)
	next := restart(t, m)
	reaches(next, other)
	stopped(next, "K25", "what the table before opened, with another daemon", tcp(granted), always)
	details, err := next.Inspect(t.Context(), root, info.ID)
	if want := fmt.Sprintf("may reach port %d of 127.0.0.0/8\n", other); err != nil || !strings.Contains(details.Kernel["fence"], want) {
		t.Errorf("inspect says %q, %v", details.Kernel["fence"], err)
	}
}

func waitFor(done func() bool) bool {
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if done() {
			return true
		}
	}
	return false
}

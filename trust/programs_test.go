package trust_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"bottled/ca"
	"bottled/trust"

	"golang.org/x/sys/unix"
)

// bottle is the host's tree with a layer over it, in a mount namespace of the test's own.
type bottle struct {
	do   chan func()
	root string
	tmp  string // what is /tmp inside
}

// newBottle lays l over the host. With a zero layer it is the host as it is.
func newBottle(t *testing.T, l trust.Layer) *bottle {
	t.Helper()
	b := &bottle{do: make(chan func()), root: t.TempDir(), tmp: t.TempDir()}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine, and the mounts with it
		ready <- b.mount(l)
		for f := range b.do {
			f()
		}
	}()
	if err := <-ready; err != nil {
		t.Fatalf("laying files over the host (the test runs as root): %v", err)
	}
	t.Cleanup(func() { close(b.do) })
	return b
}

func (b *bottle) mount(l trust.Layer) error {
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.Mount("layer", b.root, "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	layer, merged := filepath.Join(b.root, "layer"), filepath.Join(b.root, "merged")
	for _, dir := range []string{layer, merged} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	for name, data := range l.Files {
		if err := os.MkdirAll(filepath.Dir(layer+name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(layer+name, data, 0o644); err != nil {
			return err
		}
	}
	for name, target := range l.Links {
		if err := os.MkdirAll(filepath.Dir(layer+name), 0o755); err != nil {
			return err
		}
		if err := os.Symlink(target, layer+name); err != nil {
			return err
		}
	}
	if err := unix.Mount("overlay", merged, "overlay", unix.MS_RDONLY, "lowerdir="+layer+":/"); err != nil {
		return err
	}
	for from, to := range map[string]string{"/proc": "/proc", "/dev": "/dev", b.tmp: "/tmp"} {
		if err := unix.Mount(from, merged+to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return err
		}
	}
	b.root = merged
	return nil
}

// run runs a program in the bottle and returns all that it printed.
func (b *bottle) run(ctx context.Context, env []string, argv ...string) (string, error) {
	var out []byte
	var err error
	done := make(chan struct{})
	b.do <- func() {
		defer close(done)
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		cmd.Env = append([]string{
			"HOME=/tmp", "LANG=C.UTF-8", "GOCACHE=/tmp/go-build", "GOMODCACHE=/tmp/go-mod", "GOFLAGS=-mod=mod", "GOTOOLCHAIN=local",
			"PATH=" + os.Getenv("PATH"), "CARGO_HOME=/tmp/cargo", "RUSTUP_HOME=" + rustupHome(),
		}, env...)
		cmd.Dir = "/tmp"
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: b.root}
		cmd.WaitDelay = time.Second
		out, err = cmd.CombinedOutput()
	}
	<-done
	return string(out), err
}

func rustupHome() string {
	if dir := os.Getenv("RUSTUP_HOME"); dir != "" {
		return dir
	}
	home, _ := os.UserHomeDir()
	return filepath.Join(home, ".rustup")
}

// serve serves greeting over TLS with leaves of a, and what a package manager asks for first.
func serve(t *testing.T, a *ca.Authority) (port string) {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, greeting) })
	mux.HandleFunc("/repo.git/info/refs", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "%040d\trefs/heads/%s\n", 1, greeting)
	})
	mux.HandleFunc("/example.com/m/@v/list", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "v1.2.3") })
	mux.HandleFunc("/example.com/m/@v/v1.2.3.mod", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "module example.com/m") })
	mux.HandleFunc("/example.com/m/@v/v1.2.3.info", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, `{"Version":"v1.2.3"}`) })
	mux.HandleFunc("/greeting", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"name":"greeting","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"greeting","version":"1.0.0","description":%q}}}`, greeting)
	})
	mux.HandleFunc("/index/config.json", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"dl":"https://%s/dl","api":"https://%[1]s"}`, r.Host)
	})
	mux.HandleFunc("/api/v1/crates", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"crates":[{"name":%q,"description":"","max_version":"1.0.0"}],"meta":{"total":1}}`, greeting)
	})
	s := &http.Server{
		Handler: mux,
		TLSConfig: &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return a.Leaf(h.Context(), h.ServerName)
		}},
		ErrorLog: log.New(io.Discard, "", 0),
	}
	go s.ServeTLS(ln, "", "")
	t.Cleanup(func() { s.Close() })
	_, port, _ = net.SplitHostPort(ln.Addr().String())
	return port
}

const greeting = "hello-from-the-bottle"

const javaClient = `
import java.net.URI;
import java.net.http.*;
public class Get {
  public static void main(String[] a) throws Exception {
    System.out.println(HttpClient.newHttpClient().send(
      HttpRequest.newBuilder(URI.create(a[0])).build(), HttpResponse.BodyHandlers.ofString()).body());
  }
}`

// program is one that speaks TLS, and how it finds what it trusts.
type program struct {
	name string
	argv []string // HOST is host:port of the server
	want string
	vars bool // brings its own roots: needs the variables beside the files
}

func programs() []program {
	get := "https://HOST/"
	python := `import urllib.request as u; print(u.urlopen("` + get + `").read().decode())`
	requests := `from pip._vendor import requests; print(requests.get("` + get + `").text)`
	node := `require("https").get("` + get + `", r => r.on("data", d => process.stdout.write(d))).on("error", e => { console.log(e); process.exit(1) })`
	all := []program{
		{"curl", []string{"curl", "-sS", get}, greeting, false},
		{"wget", []string{"wget", "-O-", get}, greeting, false},
		{"git", []string{"git", "ls-remote", get + "repo.git"}, greeting, false},
		{"openssl", []string{"sh", "-c", "echo | openssl s_client -verify_return_error -verify_hostname localhost -servername localhost -connect HOST"}, "Verify return code: 0 (ok)", false},
		{"openssl, by hash", []string{"sh", "-c", "echo | openssl s_client -verify_return_error -no-CAfile -servername localhost -connect HOST"}, "Verify return code: 0 (ok)", false},
		{"apt", []string{"/usr/lib/apt/apt-helper", "-oAcquire::Retries=0", "-oAPT::Sandbox::User=root", "download-file", get, "/tmp/apt"}, "Get:1", false},
		{"python urllib", []string{"/usr/bin/python3", "-c", python}, greeting, false},
		{"python requests", []string{"/usr/bin/python3", "-c", requests}, greeting, true},
		{"node", []string{"node", "-e", node}, greeting, true},
		{"npm", []string{"npm", "view", "--fetch-retries=0", "--update-notifier=false", "--registry=" + get, "greeting", "description"}, greeting, true},
		{"go", []string{"env", "GOPROXY=" + get, "GONOSUMDB=*", "go", "list", "-m", "-versions", "example.com/m"}, "v1.2.3", false},
		{"chromium", []string{"chromium", "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir=/tmp/chromium", "--dump-dom", get}, greeting, false},
		{"cargo", []string{"cargo", "search", "--index", "sparse+" + get + "index/", "x"}, greeting, true},
	}
	jdks, _ := filepath.Glob("/usr/lib/jvm/*/bin/java")
	for _, java := range jdks {
		if fi, err := os.Lstat(filepath.Dir(filepath.Dir(java))); err != nil || fi.Mode()&fs.ModeSymlink != 0 {
			continue
		}
		all = append(all,
			program{"java " + java, []string{java, "-XX:TieredStopAtLevel=1", "/tmp/Get.java", get}, greeting, false},
			program{"keytool " + java, []string{filepath.Join(filepath.Dir(java), "keytool"), "-list", "-cacerts", "-storepass", "changeit", "-alias", "bottled"}, "trustedCertEntry", false},
		)
	}
	return all
}

// TestPrograms runs real programs against a server with a leaf of the bottle's authority.
// On the host as it is every one refuses it; with the layer every one takes it.
func TestPrograms(t *testing.T) {
	a := authority(t)
	host := "localhost:" + serve(t, a)
	l, err := trust.NewHost(os.DirFS("/").(fs.ReadLinkFS)).Layer(a.CertPEM(), os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	plain, inside := newBottle(t, trust.Layer{}), newBottle(t, l)
	for _, b := range []*bottle{plain, inside} {
		if err := os.WriteFile(filepath.Join(b.tmp, "Get.java"), []byte(javaClient), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range programs() {
		t.Run(p.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			argv := make([]string, len(p.argv))
			for i, arg := range p.argv {
				argv[i] = strings.ReplaceAll(arg, "HOST", host)
			}
			ok := func(b *bottle, env []string) (string, bool) {
				out, err := b.run(ctx, env, argv...)
				return fmt.Sprintf("%v: %s", err, out), err == nil && strings.Contains(out, p.want)
			}
			if out, took := ok(plain, nil); took {
				t.Fatalf("without the layer it takes the certificate too, so this shows nothing: %s", out)
			}
			if out, took := ok(inside, l.Env); !took {
				t.Errorf("with the layer: %s", out)
			}
			if p.vars {
				return
			}
			if out, took := ok(inside, nil); !took {
				t.Errorf("with the files of the layer but not its variables: %s", out)
			}
		})
	}
}

package scenario

import (
	"encoding/base64"
	"net/http"
	"net/http/cgi"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const gitPassword = "correct-horse-battery-staple"

// gitServer serves repositories below dir to who knows the password.
func gitServer(t *testing.T, dir string) http.HandlerFunc {
	t.Helper()
	path, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	backend := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(path)), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=ci", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); !ok || user != "ci" || password != gitPassword {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(w, r)
	}
}

// A push is a POST to git-receive-pack, before which the client asks
// info/refs?service=git-receive-pack. A path list judges no query, so it is the POST
// that a route for fetching alone has to leave out.
const gitRoutes = `
- host: git.example.com
  allow_private: [127.0.0.0/8]
  auth: {scheme: Basic, username: ci, token_ref: GIT_PASSWORD}
`

const fetchOnly = gitRoutes + `  path_allowlist: ["/repo.git/info/refs", "/repo.git/git-upload-pack"]
`

const identity = "git config --global user.name agent; git config --global user.email agent@example.com; git config --global init.defaultBranch main\n"

func TestGit(t *testing.T) {
	root := t.TempDir()
	repo := filepath.Join(root, "repo.git")
	output(t, "git", "init", "-q", "--bare", "-b", "main", repo)
	output(t, "git", "-C", repo, "config", "http.receivepack", "true")
	w := newWorld(t)
	up := w.https(t, "git.example.com", gitServer(t, root))
	b := bottle{manifest: w.manifest(gitRoutes), env: []string{"GIT_PASSWORD=" + gitPassword}, dir: workDir(t, nil)}
	head := func() string {
		out, _ := exec.Command("git", "-C", repo, "log", "--format=%s", "main").Output()
		return strings.TrimSpace(string(out))
	}

	// The first commit, and then one on top of a clone of it.
	if r := w.sh(t, b, "set -e; "+identity+`git init -q one; cd one; echo 1 >file; git add file; git commit -qm first
		git push -q https://git.example.com/repo.git HEAD:main`); r.code != 0 {
		t.Fatalf("push: %v", r)
	}
	if r := w.sh(t, b, "set -e; "+identity+`git clone -q https://git.example.com/repo.git two; cd two; cat file
		echo 2 >file; git commit -qam second; git push -q`); !r.ok("1\n") {
		t.Fatalf("clone and push: %v", r)
	}
	if got := head(); got != "second\nfirst" {
		t.Fatalf("the repository has %q", got)
	}
	for _, r := range up.Requests() {
		if !r.TLS || r.Header.Get("Authorization") == "" {
			t.Errorf("%s %s came without the credential, or in the clear", r.Method, r.Target)
		}
	}

	// Nothing in the bottle knows the password: not what it was given, not what git kept.
	search := `env; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\0' '\n'
		git clone -v https://git.example.com/repo.git three 2>&1
		GIT_CURL_VERBOSE=1 GIT_TRACE_REDACT=0 git -C three fetch 2>&1
		echo planted >$HOME/marker
		grep -rsE "$1|planted" $HOME . /tmp /run /etc /dev/shm; true`
	r := w.run(t, b, "sh", "-c", search, "sh", "horse-batter[y]")
	sent := base64.StdEncoding.EncodeToString([]byte("ci:" + gitPassword))
	if !r.ok("marker:planted") || strings.Contains(r.stdout+r.stderr, "horse-battery") || strings.Contains(r.stdout+r.stderr, sent) {
		t.Errorf("the password is in the bottle: %v", r)
	}

	// Fetching alone: the same push gets a 403, and the upstream no POST of it.
	b.manifest = w.manifest(fetchOnly)
	before := len(up.Requests())
	r = w.sh(t, b, "set -e; "+identity+`git clone -q https://git.example.com/repo.git four; cd four; cat file
		echo 3 >file; git commit -qam third; git push -q && echo pushed || echo refused`)
	if !r.ok("refused") || !strings.Contains(r.stdout, "2\n") || !strings.Contains(r.stderr, "403") {
		t.Errorf("fetch alone: %v", r)
	}
	for _, req := range up.Requests()[before:] {
		if strings.Contains(req.Target, "git-receive-pack") && req.Method == "POST" {
			t.Errorf("%s %s reached the server", req.Method, req.Target)
		}
	}
	if got := head(); got != "second\nfirst" {
		t.Errorf("the repository has %q", got)
	}

	// A bottle without the route sees nothing.
	b.manifest = w.only("elsewhere.example.com")
	before = len(up.Requests())
	if r := w.sh(t, b, "git ls-remote https://git.example.com/repo.git"); r.code == 0 || len(up.Requests()) != before {
		t.Errorf("without the route: %v", r)
	}
}

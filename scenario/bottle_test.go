package scenario

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"bottled/api"
)

// bottle is what `bottled run` is told.
type bottle struct {
	manifest string
	dir      string // made when empty
	stdin    string
	env      []string // of the caller; goes in only where --env or the manifest says so
	flags    []string
}

// args is the command line, without the program.
func (b bottle) args(t *testing.T, argv ...string) []string {
	t.Helper()
	if b.dir == "" {
		b.dir = workDir(t, nil)
	}
	args := []string{"run", "--dir", b.dir}
	if b.manifest != "" {
		file := filepath.Join(publicDir(t), "bottle.yaml")
		if err := os.WriteFile(file, []byte(b.manifest), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--manifest", file)
	}
	return append(append(append(args, b.flags...), "--"), argv...)
}

// run runs argv in a new bottle.
func (d *daemon) run(t *testing.T, b bottle, argv ...string) result {
	t.Helper()
	return execute(t, append(b.env, "BOTTLED_SOCKET="+d.socket), b.stdin, program("bottled"), b.args(t, argv...)...)
}

// sh runs a shell script in a new bottle.
func (d *daemon) sh(t *testing.T, b bottle, script string) result {
	t.Helper()
	return d.run(t, b, "sh", "-c", script)
}

// list is what `bottled ls` prints.
func (d *daemon) list(t *testing.T) []api.Bottle {
	t.Helper()
	r := d.client(t, nil, "ls", "--json")
	var list []api.Bottle
	if err := json.Unmarshal([]byte(r.stdout), &list); err != nil {
		t.Errorf("bottled ls: %v: %v", err, r)
	}
	return list
}

// workDir is a directory to work in, with files by name.
func workDir(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := publicDir(t)
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// goclient is the program of that name, to be put where a bottle sees it: it has a /tmp of its own.
func goclient(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(program("goclient"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

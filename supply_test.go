package bottled_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/version"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"bottled/attack"
)

// floors are the versions below which something that reads hostile bytes has known holes.
// They stand in for a run of govulncheck where its database cannot be reached: what was
// fixed before is held here, what was found since is not seen.
var floors = map[string]string{
	"go":               "1.26.6",
	"golang.org/x/net": "v0.55.0",
}

// below says that a version is older than its floor.
func below(name, have string) error {
	floor := floors[name]
	older := number(have) < number(floor)
	if name == "go" {
		older = version.Compare("go"+strings.TrimPrefix(have, "go"), "go"+floor) < 0
	}
	if older {
		return fmt.Errorf("%s %s is older than %s", name, have, floor)
	}
	return nil
}

// number is a version of three numbers as one; 0 where it is none.
func number(v string) (n int) {
	parts := strings.Split(strings.TrimPrefix(v, "v"), ".")
	if len(parts) != 3 {
		return 0
	}
	for _, p := range parts {
		part, err := strconv.Atoi(p)
		if err != nil || part >= 1000 {
			return 0
		}
		n = 1000*n + part
	}
	return n
}

// A build with an old toolchain, an old reader of HTTP/2 or a module that is not the one
// that go.sum knows is no build of this module.
func TestAttackSupply(t *testing.T) {
	var mod struct {
		Go      string
		Require []struct{ Path, Version string }
		Replace []struct{ Old struct{ Path string } }
	}
	text, err := exec.Command("go", "mod", "edit", "-json").Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &mod); err != nil {
		t.Fatal(err)
	}
	used := map[string]string{"go": mod.Go}
	for _, r := range mod.Require {
		used[r.Path] = r.Version
	}
	for name, old := range map[string]string{"go": "1.26.5", "golang.org/x/net": "v0.54.9"} {
		attack.Stopped(t, "V01", name+" "+old,
			func(*testing.T) error { return below(name, used[name]) },
			func(*testing.T) error { return below(name, old) })
	}
	if compiler, err := exec.Command("go", "env", "GOVERSION").Output(); err != nil {
		t.Error(err)
	} else if err := below("go", strings.Fields(string(compiler))[0]); err != nil {
		t.Error(err)
	}
	for _, r := range mod.Replace {
		t.Error(errors.New(r.Old.Path + " is replaced: go.sum says nothing of what is built"))
	}
}

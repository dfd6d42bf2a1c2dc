package api

import (
	"math"
	"net/http"
	"path"
	"regexp"
	"strings"
	"sync"

	"bottled/bottle"
	"bottled/secret"
)

// Bounds of a command line and an environment, in entries; [MaxBody] bounds their bytes.
const (
	maxArgs = 4096
	maxEnv  = 4096
)

// slug is what a name is. Names end up in paths, host names and log lines.
var slug = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`) })

func checkName(name string) error {
	if !slug().MatchString(name) {
		return invalidf("name %q: use 1 to 63 of a-z, 0-9 and '-', and begin with a letter or a digit", name)
	}
	return nil
}

func checkCommand(argv []string) error {
	if len(argv) == 0 || argv[0] == "" {
		return invalidf("command: name a program to run")
	}
	if len(argv) > maxArgs {
		return invalidf("command: %d arguments, and %d may be", len(argv), maxArgs)
	}
	for _, arg := range argv {
		if strings.ContainsRune(arg, 0) {
			return invalidf("command: argument %q holds a NUL, which exec(3) would take for its end", arg)
		}
	}
	return nil
}

func checkEnv(env []string) error {
	if len(env) > maxEnv {
		return invalidf("env: %d entries, and %d may be", len(env), maxEnv)
	}
	seen := make(map[string]bool, len(env))
	for _, kv := range env {
		key, _, ok := strings.Cut(kv, "=")
		switch {
		// The value may be a secret of the caller's: messages name the key.
		case !ok || key == "":
			return invalidf("env: an entry is not of the form KEY=value")
		case strings.ContainsRune(kv, 0):
			return invalidf("env: %q holds a NUL", strings.ReplaceAll(key, "\x00", ""))
		case seen[key]:
			return invalidf("env: %q comes twice", key)
		}
		seen[key] = true
	}
	return nil
}

func checkWorkDir(dir string) error {
	switch {
	case strings.ContainsRune(dir, 0):
		return invalidf("dir %q holds a NUL", dir)
	case !path.IsAbs(dir) || path.Clean(dir) != dir:
		return invalidf("dir %q: give an absolute path without \"..\", \"//\" or a slash at the end", dir)
	}
	return nil
}

// identityOf decides whom the command may run as.
func identityOf(c bottle.Caller, u *User) (*bottle.Identity, error) {
	switch {
	case u == nil:
		return nil, nil
	case !c.Root():
		return nil, refusal{http.StatusForbidden, "forbidden", "user: only root may choose whom a bottle runs as; leave it out"}
	case u.UID == 0 || u.GID == 0:
		return nil, refusal{http.StatusForbidden, "forbidden", "user: a bottle never runs as uid 0 or gid 0 of the host; choose another"}
	case u.UID == math.MaxUint32 || u.GID == math.MaxUint32:
		return nil, invalidf("user: %d is not an id (chown(2) means \"unchanged\" by it)", uint32(math.MaxUint32))
	}
	return &bottle.Identity{UID: u.UID, GID: u.GID}, nil
}

func tokensOf(values map[string]string) (map[string]secret.Token, error) {
	tokens := make(map[string]secret.Token, len(values))
	for ref, value := range values {
		t, err := secret.New([]byte(value))
		if err != nil {
			return nil, invalidf("token %q: %v", ref, err)
		}
		tokens[ref] = t
	}
	return tokens, nil
}

func checkManifest(manifest string) error {
	if manifest == "" {
		return invalidf("manifest: it is empty; the smallest is \"version: 1\"")
	}
	return nil
}

// maxFiles bounds the files that ride along with a manifest: no more than two can
// be named in it.
const maxFiles = 2

func checkFiles(files map[string]string) error {
	if len(files) > maxFiles {
		return invalidf("files: %d came, and a manifest names %d at most", len(files), maxFiles)
	}
	for path, text := range files {
		if path == "" || text == "" {
			return invalidf("files: %q is empty, or has no name", path)
		}
	}
	return nil
}

func contentsOf(files map[string]string) map[string][]byte {
	contents := make(map[string][]byte, len(files))
	for path, text := range files {
		contents[path] = []byte(text)
	}
	return contents
}

package routes

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"bottled/strict"
)

// Settings is what a manifest says about the bottle itself (bottle:).
type Settings struct {
	Writable       []string          // paths that programs may write to, beside the working directory
	Hidden         []string          // paths that programs do not see
	Env            map[string]string // variables to set
	UserNamespaces bool              // for programs that bring a sandbox of their own
	Limits         Limits            // on what they use

	envLines map[string]int
}

func (r *reader) settings(n *strict.Node) Settings {
	v := r.Object(n, "bottle", "writable", "hidden", "env", "user_namespaces", "limits")
	s := Settings{
		Writable:       strict.ParsedList(r.Reader, v["writable"], "bottle.writable", parseWritable),
		Hidden:         strict.ParsedList(r.Reader, v["hidden"], "bottle.hidden", parseBottlePath),
		UserNamespaces: r.Flag(v["user_namespaces"], "bottle.user_namespaces", false),
		Limits:         ReadLimits(r.Reader, v["limits"], "bottle.limits"),
	}
	env := v["env"]
	if env == nil {
		return s
	}
	s.Env, s.envLines = make(map[string]string), make(map[string]int)
	values := r.Object(env, "bottle.env")
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value := values[name]
		key := "bottle.env." + clip(name)
		if !isEnvName(name) {
			r.Fail(value, key, "%q is not the name of a variable: write letters, digits and underscores", clip(name))
			continue
		}
		s.Env[name], s.envLines[name] = strict.Parsed(r.Reader, value, key, parseEnvValue), value.Line
	}
	return s
}

func parseEnvValue(s string) (string, error) {
	if strings.ContainsRune(s, 0) || len(s) > 64<<10 {
		return "", errors.New("the value holds a NUL or is over 64 KiB long")
	}
	return s, nil
}

// parseBottlePath takes an absolute path, or one below the home as ~/NAME.
func parseBottlePath(s string) (string, error) {
	abs := s
	if rest, ok := strings.CutPrefix(s, "~/"); ok {
		abs = "/" + rest
	}
	switch {
	case strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "", fmt.Errorf("the path %q holds a control character", clip(s))
	case !path.IsAbs(abs) || len(s) > 4095:
		return "", fmt.Errorf("the path %q is not absolute: write /NAME or ~/NAME", clip(s))
	case path.Clean(abs) != strings.TrimSuffix(abs, "/"):
		return "", fmt.Errorf("the path %q is not in its plain form, or is the whole tree: name one directory or file below it, without . and .. in it", clip(s))
	}
	return strings.TrimSuffix(s, "/"), nil
}

// ownTrees are the trees that a bottle has of its own; the host's are never
// writable from it.
var ownTrees = []string{"/proc", "/sys", "/dev", "/run", "/tmp", "/etc/bottled"}

func parseWritable(s string) (string, error) {
	p, err := parseBottlePath(s)
	if err != nil {
		return "", err
	}
	for _, tree := range ownTrees {
		if p == tree || strings.HasPrefix(p, tree+"/") {
			return "", fmt.Errorf("the path %q can not be made writable: a bottle has its own %s", clip(s), tree)
		}
	}
	return p, nil
}

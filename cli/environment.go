package cli

import (
	"maps"
	"os/user"
	"slices"
	"strings"

	"bottled/routes"
)

// passed are the variables that go into a bottle by themselves: what programs need
// to find each other and to talk to the person. Everything else may hold a
// secret, and stays out unless --env names it.
var passed = []string{
	"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TERM", "TZ",
	"COLORTERM", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "FORCE_COLOR", "CI",
	"EDITOR", "VISUAL", "PAGER", "LESS",
}

// environment is what goes in: the passed variables, over them the manifest's, over
// those what --env asks for. None of the tokens' variables is among them.
func (a *App) environment(asked []string, settings map[string]string, refs []routes.TokenRef, runAs *user.User) ([]string, error) {
	env := make(map[string]string)
	for _, kv := range a.Environ {
		key, value, ok := strings.Cut(kv, "=")
		if ok && (slices.Contains(passed, key) || strings.HasPrefix(key, "LC_")) {
			env[key] = value
		}
	}
	if runAs != nil {
		// sudo keeps root's, or the caller's, as it is configured.
		env["HOME"], env["USER"], env["LOGNAME"] = runAs.HomeDir, runAs.Username, runAs.Username
	}
	maps.Copy(env, settings)
	tokens := make(map[string]bool)
	for _, ref := range refs {
		if ref.Kind == routes.TokenEnv {
			tokens[ref.Value] = true
			delete(env, ref.Value)
		}
	}
	over, err := a.asked(asked)
	if err != nil {
		return nil, err
	}
	for _, kv := range over {
		key, value, _ := strings.Cut(kv, "=")
		if tokens[key] {
			return nil, usagef("--env %s: the manifest injects this token outside the bottle, so it does not go in; leave it out, or give the manifest another token_ref", key)
		}
		env[key] = value
	}
	list := make([]string, 0, len(env))
	for _, key := range slices.Sorted(maps.Keys(env)) {
		list = append(list, key+"="+env[key])
	}
	return list, nil
}

// asked is what --env alone asks for, in its order.
func (a *App) asked(list []string) ([]string, error) {
	env := make([]string, 0, len(list))
	for _, kv := range list {
		key, _, given := strings.Cut(kv, "=")
		if key == "" {
			return nil, malformed(kv)
		}
		env = slices.DeleteFunc(env, func(have string) bool { return strings.HasPrefix(have, key+"=") })
		if !given {
			value, ok := a.getenv(key)
			if !ok {
				return nil, unset(key)
			}
			kv = key + "=" + value
		}
		env = append(env, kv)
	}
	return env, nil
}

func malformed(kv string) error {
	return usagef("--env %q: use KEY=value, or KEY to pass a variable", kv)
}

func unset(key string) error {
	return usagef("--env %s: the variable is not set; set it, or use --env %s=value", key, key)
}

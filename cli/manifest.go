package cli

import (
	"errors"
	"fmt"
	"io"
	"os"

	"bottled/routes"
	"bottled/secret"
)

// defaultManifest is that of a run without one: the default hosts, nothing else.
const defaultManifest = "version: 1\n"

// A manifest is the text that goes to the daemon and what it says.
type manifest struct {
	name   string
	text   string
	parsed *routes.Manifest
}

// readManifest reads and checks a file; name "" is the default manifest.
func readManifest(name string) (*manifest, error) {
	if name == "" {
		return parseManifest("(default)", []byte(defaultManifest))
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, routes.MaxManifest+1)) // one more, so that the parser sees it is too much
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	return parseManifest(name, text)
}

func parseManifest(name string, text []byte) (*manifest, error) {
	m, err := routes.ParseManifest(name, text)
	if err != nil {
		return nil, err
	}
	return &manifest{name, string(text), m}, nil
}

// refs are the distinct token references, in order.
func (m *manifest) refs() ([]routes.TokenRef, error) {
	e, err := m.parsed.Effective()
	if err != nil {
		return nil, err
	}
	var refs []routes.TokenRef
	for _, s := range e.Slots {
		refs = append(refs, s.Ref)
	}
	return refs, nil
}

// tokens reads the caller's variables that the references name. All that are wrong
// are told at once. What the operator holds is the daemon's to fetch.
func (a *App) tokens(refs []routes.TokenRef) (map[string]string, error) {
	values := make(map[string]string)
	var errs []error
	for _, ref := range refs {
		if ref.Kind != routes.TokenEnv {
			continue
		}
		t, err := secret.Resolve(ref.Value, a.getenv)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		values[ref.String()] = t.Reveal() // over the socket, to the enforcer
	}
	return values, errors.Join(errs...)
}

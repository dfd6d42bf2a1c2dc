package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"bottled/routes"
	"bottled/secret"
)

// defaultManifest is that of a run without one: the default hosts, nothing else.
const defaultManifest = "version: 1\n"

// A manifest is the text that goes to the daemon and what it says.
type manifest struct {
	name   string
	text   string
	files  map[string]string // what the paths in it lead to
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
	m, err := parseManifest(name, text)
	if err != nil {
		return nil, err
	}
	return m, m.readFiles(filepath.Dir(name))
}

func parseManifest(name string, text []byte) (*manifest, error) {
	m, err := routes.ParseManifest(name, text)
	if err != nil {
		return nil, err
	}
	return &manifest{name: name, text: string(text), parsed: m}, nil
}

// maxPEM bounds a file of certificates, in bytes: a bundle of every public authority
// has half of it.
const maxPEM = 512 << 10

// readFiles reads the certificates that the manifest names, relative to where it
// lies. The daemon opens none of them, because it may read more than the caller.
func (m *manifest) readFiles(dir string) error {
	m.files = make(map[string]string)
	err := m.readFile(dir, "upstream_ca", m.parsed.UpstreamCA)
	if p := m.parsed.UpstreamProxy; err == nil && p != nil {
		err = m.readFile(dir, "upstream_proxy.ca", p.CA)
	}
	return err
}

func (m *manifest) readFile(dir, key string, p routes.PEM) error {
	if p.Path == "" {
		return nil
	}
	text, err := readPEM(dir, p.Path)
	if err != nil {
		return fmt.Errorf("%s: %s: %w", m.name, key, err)
	}
	m.files[p.Path] = text
	return nil
}

func readPEM(dir, path string) (string, error) {
	file := path
	if !filepath.IsAbs(file) {
		file = filepath.Join(dir, file)
	}
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPEM+1))
	if err != nil {
		return "", err
	}
	if len(text) > maxPEM {
		return "", fmt.Errorf("%q is larger than %d bytes, which no file of certificates is", file, maxPEM)
	}
	read, err := routes.ParsePEM(string(text))
	if err == nil && read.Inline == "" {
		err = errors.New("it holds no certificate in PEM form")
	}
	if err != nil {
		return "", fmt.Errorf("%q: %w", file, err)
	}
	return string(text), nil
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

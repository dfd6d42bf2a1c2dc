package secret

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// credential is a file that systemd put into $CREDENTIALS_DIRECTORY for the
// service, by LoadCredential= or SetCredentialEncrypted= (systemd.exec(5)).
// systemd keeps others out of that directory, so the mode is not checked again.
type credential struct{ name string }

// newCredential returns the source credential:name.
func newCredential(name string) (*credential, error) {
	if name == "" || name == "." || name == ".." || len(name) > maxName || strings.ContainsAny(name, "/\x00") {
		return nil, errors.New("write the name that LoadCredential= has, without a slash")
	}
	return &credential{name}, nil
}

// Fetch implements [Source].
func (c *credential) Fetch(context.Context) (Token, error) {
	t, err := c.read()
	if err != nil {
		return Token{}, fmt.Errorf("secret credential:%s: %w", c.name, err)
	}
	return t, nil
}

func (c *credential) read() (Token, error) {
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return Token{}, fmt.Errorf("the daemon has no credentials; run it as a systemd service with LoadCredential=%s:PATH", c.name)
	}
	d, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return Token{}, fmt.Errorf("CREDENTIALS_DIRECTORY: %w", err)
	}
	defer unix.Close(d)
	file, err := openBeneath(d, c.name, unix.RESOLVE_BENEATH|unix.RESOLVE_NO_SYMLINKS)
	if errors.Is(err, unix.ENOENT) {
		return Token{}, fmt.Errorf("systemd gave the daemon no such credential; add LoadCredential=%s:PATH to the unit", c.name)
	}
	if err != nil {
		return Token{}, err
	}
	defer file.Close()
	return readValue(file)
}

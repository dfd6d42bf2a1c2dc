package secret

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const value = "tok-5up3rs3cret-canary"

func TestResolve(t *testing.T) {
	env := map[string]string{"GH_PAT": value, "EMPTY": "", "MULTI": value + "\nmore", "LONG": strings.Repeat("x", MaxSize+1)}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	for name, want := range map[string]string{
		"GH_PAT":  "",
		"UNSET":   "token_ref UNSET: the environment variable UNSET is not set; set it or remove the auth block",
		"EMPTY":   "token_ref EMPTY: will not inject an empty token; set the environment variable EMPTY or remove the auth block",
		"MULTI":   "token_ref MULTI: will not inject a token with CR, LF or NUL in it; set the environment variable MULTI or remove the auth block",
		"LONG":    "token_ref LONG: will not inject a token of more than 16384 bytes; set the environment variable LONG or remove the auth block",
		"":        `token_ref "": not the name of an environment variable (letters, digits and _, at most 255 bytes)`,
		"A=B":     `token_ref "A=B": not the name of an environment variable (letters, digits and _, at most 255 bytes)`,
		"1A":      `token_ref "1A": not the name of an environment variable (letters, digits and _, at most 255 bytes)`,
		"A B\x1b": `token_ref "A B\x1b": not the name of an environment variable (letters, digits and _, at most 255 bytes)`,
	} {
		tok, err := Resolve(name, lookup)
		if want == "" {
			if err != nil || tok.Reveal() != value {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err == nil || err.Error() != want || !tok.IsZero() {
			t.Errorf("%s: %v; want %s", name, err, want)
		}
	}
}

func TestParse(t *testing.T) {
	for _, ref := range []string{"credential:gh", "file:/etc/bottled/gh", "command:/usr/bin/mint --aud x"} {
		if src, err := Parse(ref); err != nil || src == nil || !IsHeld(ref) {
			t.Errorf("%q: %v", ref, err)
		}
	}
	for _, ref := range []string{
		"", "GH_PAT", "env:GH_PAT", "credential:", "credential:../x", "credential:a/b", "credential:..", "file:", "file:relative", "file:/a/../b", "file:/a/",
		"file:/a\x00b", "command:", "command:   ", "command:mint", "command:./mint", "FILE:/a", "vault:x",
	} {
		if src, err := Parse(ref); err == nil || src != nil {
			t.Errorf("%q: taken", ref)
		}
	}
	if IsHeld("GH_PAT") {
		t.Error("a variable counts as held")
	}
}

// write writes a file with mode 0600 and returns its path.
func write(t *testing.T, dir, name, data string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// fetch fetches and fails the test if the error holds the value.
func fetch(t *testing.T, ref string) (Token, error) {
	t.Helper()
	src, err := Parse(ref)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := src.Fetch(t.Context())
	if err != nil && strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), value) {
		t.Errorf("%s: the error holds the value: %v", ref, err)
	}
	if err != nil && !tok.IsZero() {
		t.Errorf("%s: a token came with an error", ref)
	}
	return tok, err
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	good := write(t, dir, "good", value+"\n")
	if tok, err := fetch(t, "file:"+good); err != nil || tok.Reveal() != value {
		t.Fatalf("control: %v", err)
	}
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	must(os.Symlink(good, filepath.Join(dir, "link")))
	must(os.Symlink(dir, filepath.Join(dir, "dirlink")))
	must(unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	must(os.Mkdir(filepath.Join(dir, "dir"), 0o700))
	write(t, dir, "group", value)
	must(os.Chmod(filepath.Join(dir, "group"), 0o640))
	write(t, dir, "world", value)
	must(os.Chmod(filepath.Join(dir, "world"), 0o604))
	write(t, dir, "foreign", value)
	must(os.Chown(filepath.Join(dir, "foreign"), 65534, 0))
	write(t, dir, "hard", value)
	must(os.Link(filepath.Join(dir, "hard"), filepath.Join(dir, "hard2")))
	write(t, dir, "empty", "")
	write(t, dir, "newline", "\n")
	write(t, dir, "two", value+"\nmore\n")
	write(t, dir, "crlf", value+"\r\n")
	write(t, dir, "long", strings.Repeat("x", MaxSize+1))
	write(t, dir, "longest", strings.Repeat("x", MaxSize)+"\r\n")
	for name, want := range map[string]string{
		"link": "symbolic link", "dirlink/good": "symbolic link", "fifo": "not a regular file", "dir": "not a regular file",
		"group": "chmod it to 0600", "world": "chmod it to 0600", "foreign": "chown it to root", "hard": "hard links",
		"empty": "empty token", "newline": "empty token", "two": "CR, LF", "long": "more than", "missing": "no such file",
	} {
		if _, err := fetch(t, "file:"+filepath.Join(dir, name)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q in it", name, err, want)
		}
	}
	if _, err := fetch(t, "file:/dev/null"); err == nil {
		t.Error("a device is a file")
	}
	for _, name := range []string{"crlf", "longest"} {
		if _, err := fetch(t, "file:"+filepath.Join(dir, name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCredential(t *testing.T) {
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	if _, err := fetch(t, "credential:gh"); err == nil || !strings.Contains(err.Error(), "LoadCredential=gh:PATH") {
		t.Errorf("without systemd: %v", err)
	}
	dir := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	write(t, dir, "gh", value)
	if tok, err := fetch(t, "credential:gh"); err != nil || tok.Reveal() != value {
		t.Errorf("%v", err)
	}
	if _, err := fetch(t, "credential:other"); err == nil || !strings.Contains(err.Error(), "add LoadCredential=other:PATH") {
		t.Errorf("missing: %v", err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := fetch(t, "credential:link"); err == nil {
		t.Error("a symbolic link is followed")
	}
}

// script writes a program and returns the reference to it.
func script(t *testing.T, body string) string {
	t.Helper()
	path := write(t, t.TempDir(), "mint", "#!/bin/sh\n"+body+"\n")
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
	return "command:" + path
}

func TestCommand(t *testing.T) {
	for name, tt := range map[string]struct{ body, want string }{
		"token":             {"echo " + value, ""},
		"arguments, no env": {`[ -z "$HOME" ] && [ "$#" = 0 ] && echo ` + value, ""},
		"expiry":            {"echo " + value + "; date -u -d '+1 hour' +%Y-%m-%dT%H:%M:%SZ", ""},
		"fails":             {"echo " + value + "; echo " + value + " >&2; exit 3", "exit status 3"},
		"empty":             {"true", "empty token"},
		"two lines":         {"echo one; echo " + value, "not a time of expiry"},
		"expired":           {"echo " + value + "; echo 2001-01-01T00:00:00Z", "already expired"},
		"control":           {`printf 'a\rb\n'`, "CR, LF or NUL"},
		"endless":           {"yes " + value, "more than"},
	} {
		tok, err := fetch(t, script(t, tt.body))
		if tt.want == "" {
			if err != nil || tok.Reveal() != value {
				t.Errorf("%s: %v", name, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %q in it", name, err, tt.want)
		}
	}
	if _, err := fetch(t, "command:/does/not/exist"); err == nil {
		t.Error("a program that is not there")
	}
}

// TestCommandTimeout hangs a program whose child holds its output open.
func TestCommandTimeout(t *testing.T) {
	src, err := Parse(script(t, "sleep 60 & sleep 60"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := src.Fetch(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 5*time.Second {
		t.Errorf("after %v: %v", time.Since(start), err)
	}
}

func TestCommandCache(t *testing.T) {
	dir := t.TempDir()
	ref := script(t, "echo x >>"+dir+"/runs; echo "+value+"; cat "+dir+"/expiry")
	expiry := write(t, dir, "expiry", time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	argv := strings.Fields(strings.TrimPrefix(ref, "command:"))
	c, err := newCommand(argv)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	c.now = func() time.Time { return now }
	runs := func() int {
		b, _ := os.ReadFile(dir + "/runs")
		return strings.Count(string(b), "x")
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if tok, err := c.Fetch(t.Context()); err != nil || tok.Reveal() != value {
				t.Errorf("%v", err)
			}
		})
	}
	wg.Wait()
	if runs() != 1 {
		t.Errorf("%d runs; want one for all", runs())
	}
	now = now.Add(time.Hour - expiryMargin)
	os.WriteFile(expiry, []byte(now.Add(time.Hour).UTC().Format(time.RFC3339)), 0o600)
	if _, err := c.Fetch(t.Context()); err != nil || runs() != 2 {
		t.Errorf("half a minute before the end: %d runs, %v", runs(), err)
	}
	// A token without an expiry is not kept.
	now = now.Add(2 * time.Hour)
	os.WriteFile(expiry, nil, 0o600)
	for range 2 {
		if _, err := c.Fetch(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if runs() != 4 {
		t.Errorf("%d runs; want one for each fetch without an expiry", runs())
	}
}

func TestStore(t *testing.T) {
	path := write(t, t.TempDir(), "gh", value)
	ref := "file:" + path
	access, err := NewAccess([]string{"1000", "nobody"}, []string{"daemon"})
	if err != nil {
		t.Fatal(err)
	}
	var s Store
	if _, err := s.Fetch(t.Context(), ref, 0, nil); err == nil {
		t.Error("the zero Store gives out secrets")
	}
	if err := s.Add(ref, access); err != nil {
		t.Fatal(err)
	}
	if err := s.Add(ref, access); err == nil {
		t.Error("listed twice")
	}
	if err := s.Add("NAME", access); err == nil {
		t.Error("a variable is held")
	}
	for _, tt := range []struct {
		uid    uint32
		groups []uint32
		ok     bool
	}{
		{1000, nil, true}, {65534, nil, true}, {1001, []uint32{5, 1}, true},
		{1001, nil, false}, {1001, []uint32{1000}, false}, {0, []uint32{0}, false}, {1, nil, false},
	} {
		tok, err := s.Fetch(t.Context(), ref, tt.uid, tt.groups)
		if (err == nil) != tt.ok || tok.IsZero() == tt.ok {
			t.Errorf("uid %d, groups %v: %v", tt.uid, tt.groups, err)
		}
	}
	// What is not listed and what is not permitted read alike.
	_, denied := s.Fetch(t.Context(), ref, 7, nil)
	_, unknown := s.Fetch(t.Context(), "file:/etc/shadow", 7, nil)
	if got, want := strings.Replace(denied.Error(), ref, "REF", 1), strings.Replace(unknown.Error(), "file:/etc/shadow", "REF", 1); got != want {
		t.Errorf("%q and %q tell what is held", got, want)
	}
	if (Access{}).Allows(0, []uint32{0}) {
		t.Error("the zero Access permits root")
	}
	for _, names := range [][2]string{{"no-such-user-here", ""}, {"", "no-such-group-here"}} {
		if _, err := NewAccess([]string{names[0]}, []string{names[1]}); err == nil {
			t.Errorf("%q: taken", names)
		}
	}
}

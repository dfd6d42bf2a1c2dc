package launch

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bottled/launch/filesystem"

	"golang.org/x/sys/unix"
)

func TestHostIsReadOnlyAndScratchIsNot(t *testing.T) {
	h := newHost(t)
	h.write(t, filepath.Join(h.home, "notes"), "mine\n")
	out := h.sh(t, `
		for f in /etc/x /usr/x /x /dev/x /sys/x /proc/sys/kernel/hostname; do (echo > $f) 2>/dev/null && echo wrote $f; done
		for d in /tmp /var/tmp /dev/shm ~ .; do echo kept > $d/file || echo no $d; done
		echo changed > ~/notes; cat ~/notes; mkdir ~/.cache && mv ~/notes ~/.cache/
		stat -c '%a %U' /tmp /var/tmp /dev/shm ~ .`)
	if out != "changed\n1777 root\n1777 root\n1777 root\n755 bottle\n755 bottle" {
		t.Errorf("got:\n%s", out)
	}
	if got, err := os.ReadFile(filepath.Join(h.home, "notes")); string(got) != "mine\n" {
		t.Errorf("the home was written to: %q %v", got, err)
	}
	if _, err := os.Stat(filepath.Join(h.home, "file")); !os.IsNotExist(err) {
		t.Errorf("a file came out of the scratch home: %v", err)
	}
	var st unix.Stat_t
	must(t, unix.Stat(filepath.Join(h.dir, "file"), &st))
	if st.Uid != testUID {
		t.Errorf("the file in the project belongs to %d", st.Uid)
	}
}

func TestScratchIsBounded(t *testing.T) {
	h := newHost(t)
	out := h.sh(t, `head -c 9000000 /dev/zero > /tmp/a 2>/dev/null && echo too much; rm /tmp/a
		head -c 9000000 /dev/zero > ~/a 2>/dev/null && echo too much; rm ~/a; head -c 1000000 /dev/zero > /dev/shm/b && echo enough`,
		func(s *Spec) { s.Scratch = 8 << 20 })
	if out != "enough" {
		t.Errorf("got %q", out)
	}
}

// TestCredentialsAreHidden puts a canary in every row of the table.
func TestCredentialsAreHidden(t *testing.T) {
	h := newHost(t)
	const canary = "CANARY-b2f1"
	for _, c := range filesystem.Credentials {
		path := filepath.Join(h.home, c.Path)
		if fi, err := os.Stat(path); err == nil && fi.IsDir() {
			continue // a row below made it
		}
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(canary+strings.Join(c.Contains, " ")), 0o644))
	}
	must(t, os.MkdirAll(filepath.Join(h.home, "dotfiles/secret"), 0o755))
	must(t, os.WriteFile(filepath.Join(h.home, "dotfiles/secret/key"), []byte(canary), 0o644))
	must(t, os.RemoveAll(filepath.Join(h.home, ".aws")))
	must(t, os.Symlink("dotfiles/secret", filepath.Join(h.home, ".aws")))
	must(t, os.WriteFile(filepath.Join(h.dir, "key"), []byte(canary), 0o644))
	must(t, os.MkdirAll(filepath.Join(h.dir, "vault"), 0o755))
	must(t, os.WriteFile(filepath.Join(h.dir, "vault/key"), []byte(canary), 0o644))
	must(t, os.WriteFile(filepath.Join(h.home, "seen"), []byte(canary), 0o644)) // positive control

	got := h.sh(t, "grep -rl "+canary+" ~ 2>/dev/null; cat key vault/key 2>/dev/null; true",
		func(s *Spec) { s.Hidden = []string{filepath.Join(h.dir, "key"), filepath.Join(h.dir, "vault")} })
	if got != filepath.Join(h.home, "seen") {
		t.Errorf("the bottle sees:\n%s", got)
	}
	h.sh(t, "mkdir ~/.ssh && touch ~/.ssh/known_hosts && echo x > ~/.netrc && ls ~/.ssh/known_hosts") // a fresh one may be made
}

func TestSettingsWithoutSecretsAreSeen(t *testing.T) {
	h := newHost(t)
	h.write(t, filepath.Join(h.home, ".npmrc"), "registry=https://npm.example.com/\n")
	if got := h.sh(t, "cat ~/.npmrc"); !strings.Contains(got, "npm.example.com") {
		t.Errorf("got %q", got)
	}
	h.write(t, filepath.Join(h.home, ".npmrc"), "//npm.example.com/:_authToken=x\n")
	if got := h.sh(t, "cat ~/.npmrc 2>&1 || true"); strings.Contains(got, "_auth") {
		t.Errorf("got %q", got)
	}
}

func TestFilesAreLaid(t *testing.T) {
	h := newHost(t)
	h.write(t, filepath.Join(h.home, ".ssh"), "hidden")
	out := h.sh(t, `cat /etc/resolv.conf /etc/bottled/new/file /run/bottled/x /tmp/y ~/.config/z ~/.aws/config; readlink /etc/link; stat -c '%a %U' /etc/bottled/new/file ~/.config/z; ls -d /bin/sh /etc/passwd`,
		func(s *Spec) {
			s.Files = map[string]File{
				"/etc/resolv.conf":                   {Data: []byte("nameserver 198.18.0.1\n")},
				"/etc/bottled/new/file":              {Data: []byte("new\n"), Mode: 0o600 | 0o044},
				"/var/run/bottled/x":                 {Data: []byte("run\n")}, // through the host's link
				"/tmp/y":                             {Data: []byte("tmp\n")},
				"/etc/link":                          {Link: "resolv.conf"},
				filepath.Join(h.home, ".config/z"):   {Data: []byte("home\n")},
				filepath.Join(h.home, ".aws/config"): {Data: []byte("in a hidden directory\n")},
			}
		})
	want := "nameserver 198.18.0.1\nnew\nrun\ntmp\nhome\nin a hidden directory\nresolv.conf\n644 root\n644 bottle\n/bin/sh\n/etc/passwd"
	if out != want {
		t.Errorf("got:\n%s\nwant:\n%s", out, want)
	}
	s := h.spec("true")
	s.Files = map[string]File{filepath.Join(h.dir, "x"): {Data: []byte("x")}}
	if _, err := startBottle(t.Context(), s, h.netns, h.cgroup, [3]*os.File{}, nil); err == nil || !strings.Contains(err.Error(), "of the host") {
		t.Errorf("a file in the project: %v", err)
	}
}

func TestWorkingDirectories(t *testing.T) {
	h := newHost(t)
	tmp, err := os.MkdirTemp("/tmp", "bottled-launch-test-")
	must(t, err)
	defer os.RemoveAll(tmp)
	must(t, os.Chmod(tmp, 0o755))
	must(t, os.WriteFile(filepath.Join(tmp, "neighbour"), nil, 0o644))
	project := filepath.Join(tmp, "project")
	h.mkdir(t, project)
	closed := filepath.Join(tmp, "closed")
	must(t, os.Mkdir(closed, 0o700))
	h.mkdir(t, filepath.Join(closed, "in"))
	must(t, os.Symlink(project, filepath.Join(h.home, "link")))
	must(t, os.Symlink("/etc", filepath.Join(h.home, "astray")))

	if got := h.sh(t, "pwd; echo x > made; ls ..", func(s *Spec) { s.Dir = project }); got != project+"\nproject" {
		t.Errorf("in /tmp: %q", got)
	}
	if _, err := os.Stat(filepath.Join(project, "made")); err != nil {
		t.Error(err)
	}
	file := filepath.Join(tmp, "file")
	h.write(t, file, "")
	h.sh(t, "echo x > "+file, func(s *Spec) { s.Writable = []string{file, project} })
	if got, err := os.ReadFile(file); string(got) != "x\n" {
		t.Errorf("a writable file: %q %v", got, err)
	}
	if got := h.sh(t, "pwd", func(s *Spec) { s.Dir = "" }); got != h.home {
		t.Errorf("without a directory: %q", got)
	}
	for dir, why := range map[string]string{
		"/": "belongs to the system", "/etc": "belongs to the system", "/usr/lib": "belongs to the system", "/tmp": "belongs to the system",
		"/proc/self": "belongs to the system", filepath.Dir(h.home): "home directory is in it", "relative": "not an absolute path",
		filepath.Join(h.home, "astray"): "belongs to the system", closed + "/in": "is closed", tmp + "/none": "no such file",
		filepath.Join(h.home, "link") + "/..": "", "/dev/null": "neither a directory",
	} {
		s := h.spec("true")
		s.Dir = dir
		p, err := startBottle(t.Context(), s, h.netns, h.cgroup, [3]*os.File{}, nil)
		if err == nil {
			_, _ = p.Wait()
			p.Close()
		}
		if why != "" && (err == nil || !strings.Contains(err.Error(), why)) {
			t.Errorf("%s: %v, want %q", dir, err, why)
		}
	}
	h.mkdir(t, filepath.Join(h.home, ".ssh"))
	s := h.spec("true")
	s.Dir = filepath.Join(h.home, ".ssh")
	if _, err := startBottle(t.Context(), s, h.netns, h.cgroup, [3]*os.File{}, nil); err == nil || !strings.Contains(err.Error(), "hidden") {
		t.Errorf("a hidden directory: %v", err)
	}
	if got := h.sh(t, "pwd -P; ls", func(s *Spec) { s.Dir = filepath.Join(h.home, "link") }); got != project+"\nmade" {
		t.Errorf("through a link: %q", got)
	}
}

func TestMappedDirectory(t *testing.T) {
	h := newHost(t)
	dir := filepath.Join(filepath.Dir(h.home), "roots")
	must(t, os.Mkdir(dir, 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "old"), []byte("old\n"), 0o600))
	got := h.sh(t, "stat -c %U . old; cat old; echo new > made", func(s *Spec) { s.Dir, s.MapDir = dir, true })
	if got != "bottle\nbottle\nold" {
		t.Errorf("got %q", got)
	}
	var st unix.Stat_t
	must(t, unix.Stat(filepath.Join(dir, "made"), &st))
	if st.Uid != 0 || st.Gid != 0 {
		t.Errorf("what the bottle made belongs to %d:%d, not to the directory's owner", st.Uid, st.Gid)
	}
	s := h.spec("sh", "-c", "cat old")
	s.Dir = dir
	if out, exit := h.run(t, s); exit.Status() == 0 {
		t.Errorf("without the mapping: %q", out)
	}
}

// TestOtherFileSystems: what the host mounts elsewhere is shown read-only, a
// kernel's file systems are not shown, and sockets in them are dead.
func TestOtherFileSystems(t *testing.T) {
	h := newHost(t)
	base := filepath.Dir(h.home)
	disk, pseudo, inner := filepath.Join(base, "disk"), filepath.Join(base, "pseudo"), filepath.Join(h.dir, "mnt")
	for dir, fstype := range map[string]string{disk: "tmpfs", pseudo: "proc", inner: "tmpfs"} {
		must(t, os.Mkdir(dir, 0o755))
		must(t, os.WriteFile(filepath.Join(dir, "below"), nil, 0o644))
		must(t, unix.Mount(fstype, dir, fstype, 0, ""))
		t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	}
	must(t, os.WriteFile(filepath.Join(disk, "data"), []byte("data"), 0o666))
	must(t, os.Chmod(filepath.Join(disk, "data"), 0o666))
	must(t, os.WriteFile(filepath.Join(inner, "data"), []byte("inner"), 0o644))
	l, err := net.Listen("unix", filepath.Join(disk, "socket"))
	must(t, err)
	defer l.Close()
	must(t, os.Chmod(filepath.Join(disk, "socket"), 0o777))
	got := h.sh(t, "ls "+pseudo+"; cat "+disk+"/data mnt/data; (echo x > "+disk+"/data) 2>/dev/null && echo wrote; BOTTLED_PROBE=unix "+h.probe+" "+disk+"/socket || true")
	if !strings.HasPrefix(got, "datainner") || strings.Contains(got, "wrote") || !strings.Contains(got, "connection refused") {
		t.Errorf("got %q", got)
	}
}

// TestNothingPropagates: the host's mount table is the same before, during and after.
func TestNothingPropagates(t *testing.T) {
	h := newHost(t)
	before, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	p, err := startBottle(t.Context(), h.spec("sleep", "1000"), h.netns, h.cgroup, [3]*os.File{}, nil)
	must(t, err)
	defer p.Close()
	during, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	must(t, p.Kill())
	_, err = p.Wait()
	must(t, err)
	if string(before) != string(during) {
		t.Errorf("the host's mounts changed:\n%s\n→\n%s", before, during)
	}
}

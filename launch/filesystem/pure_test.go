package filesystem

import (
	"slices"
	"testing"

	"bottled/launch/identity"
)

const table = `27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 27 254:1 / /home rw,relatime shared:1 master:2 - ext4 /dev/vdb rw
31 27 254:1 /ann/files /srv/ann\040files rw - ext4 /dev/vdb rw
32 27 0:5 / /proc rw - proc proc rw
33 30 0:9 / /home/ann/mnt rw - tmpfs tmpfs rw
`

func TestMountinfo(t *testing.T) {
	mounts, err := parseMountinfo([]byte(table))
	if err != nil || len(mounts) != 5 || mounts[2].point != "/srv/ann files" || mounts[2].root != "/ann/files" || mounts[4].id != 33 {
		t.Fatalf("%+v, %v", mounts, err)
	}
	for path, want := range map[string][]string{
		"/etc/x":                  {"/etc/x"},
		"/home/ann/.ssh":          {"/home/ann/.ssh"},
		"/home/ann/files/key":     {"/home/ann/files/key", "/srv/ann files/key"},
		"/srv/ann files/key":      {"/srv/ann files/key", "/home/ann/files/key"},
		"/home/ann/mnt/files/key": {"/home/ann/mnt/files/key"},
	} {
		if got := aliases(mounts, path); !slices.Equal(got, want) {
			t.Errorf("aliases of %s: %q, want %q", path, got, want)
		}
	}
	for _, bad := range []string{"x\n", "27 1 254:0 / / rw ext4\n", "a 1 254:0 / / rw - ext4 d rw\n"} {
		if _, err := parseMountinfo([]byte(bad)); err == nil {
			t.Errorf("%q was understood", bad)
		}
	}
}

func TestWithin(t *testing.T) {
	for _, c := range []struct {
		path, dir string
		want      bool
	}{{"/a/b", "/a", true}, {"/a", "/a", true}, {"/ab", "/a", false}, {"/a", "/a/b", false}, {"/x", "/", true}} {
		if within(c.path, c.dir) != c.want {
			t.Errorf("within(%s, %s) is not %v", c.path, c.dir, c.want)
		}
	}
}

func TestAccounts(t *testing.T) {
	id := identity.Identity{UID: 70001, GID: 70002}
	for _, c := range []struct{ passwd, name, home, want string }{
		{"root:x:0:0::/root:/bin/sh\n", "", "/h", "root:x:0:0::/root:/bin/sh\nbottle:x:70001:70002:bottle:/h:/bin/sh\n"},
		{"ann:x:70001:1::/:\n", "bob", "/h", "ann:x:70001:1::/:\n"},
		{"ann:x:5:1::/:", "ann", "/h", "ann:x:5:1::/:\nbottle70001:x:70001:70002:bottle70001:/h:/bin/sh\n"},
		{"", "evil\nroot:x:0:0", "/h", "bottle70001:x:70001:70002:bottle70001:/h:/bin/sh\n"},
		{"", "a", "/h:x", ""},
	} {
		if got := string(withUser([]byte(c.passwd), id, c.name, c.home)); got != c.want {
			t.Errorf("%q with %q: %q, want %q", c.passwd, c.name, got, c.want)
		}
	}
	if got := string(withGroup([]byte("tty:x:5:\n"), 70002, "")); got != "tty:x:5:\nbottle:x:70002:\n" {
		t.Errorf("group: %q", got)
	}
}

func TestTableOfCredentials(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Credentials {
		if seen[c.Path] || c.Path == "" || c.Path[0] == '/' {
			t.Errorf("%q stands twice or is no path below a home", c.Path)
		}
		seen[c.Path] = true
	}
}

func TestZeroTreeBuildsNothing(t *testing.T) {
	if err := (Tree{}).Steps(-1, -1)[0].Do(); err == nil {
		t.Error("a tree without a user was begun")
	}
}

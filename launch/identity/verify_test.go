package identity

import (
	"errors"
	"maps"
	"testing"

	"golang.org/x/sys/unix"
)

func dropped() map[string]string {
	const none = "0000000000000000"
	return map[string]string{
		"Uid": "7 7 7 7", "Gid": "8 8 8 8", "Groups": "5 6", "NoNewPrivs": "1",
		"CapInh": none, "CapPrm": none, "CapEff": none, "CapBnd": none, "CapAmb": none,
	}
}

// TestCompareNoticesEveryField: a wrong field and a missing one are errors alike.
func TestCompareNoticesEveryField(t *testing.T) {
	id := Identity{UID: 7, GID: 8, Groups: []uint32{6, 5}}
	if err := compare(dropped(), id); err != nil {
		t.Fatalf("the control: %v", err)
	}
	for key := range dropped() {
		wrong := dropped()
		wrong[key] += "1"
		if err := compare(wrong, id); err == nil {
			t.Errorf("%s = %q went through", key, wrong[key])
		}
		missing := maps.Clone(dropped())
		delete(missing, key)
		if err := compare(missing, id); err == nil {
			t.Errorf("a status without %s went through", key)
		}
	}
}

// TestVerifyRefusesRoot runs as root: nothing was dropped, and Verify sees it.
func TestVerifyRefusesRoot(t *testing.T) {
	if err := Verify(Identity{UID: 7, GID: 8}); err == nil {
		t.Error("a process that dropped nothing was verified")
	}
	if err := VerifyFiltered(); err == nil {
		t.Error("a process without a filter was verified")
	}
}

func TestCheck(t *testing.T) {
	for _, id := range []Identity{{}, {UID: 1}, {GID: 1}, {UID: ^uint32(0), GID: 1}, {UID: 1, GID: 1, Groups: []uint32{0}}} {
		if id.Check() == nil {
			t.Errorf("%+v is allowed", id)
		}
		if As(id, func() error { t.Errorf("ran as %+v", id); return nil }) == nil {
			t.Errorf("As took on %+v", id)
		}
	}
}

// TestAsHasTheUsersRights: what the user can not open is not opened, and the
// caller is root as before.
func TestAsHasTheUsersRights(t *testing.T) {
	id := Identity{UID: 54321, GID: 54321}
	open := func() error {
		fd, err := unix.Open("/etc/shadow", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}
	if err := open(); err != nil {
		t.Fatalf("the control: %v", err)
	}
	if err := As(id, open); !errors.Is(err, unix.EACCES) {
		t.Errorf("as the user: %v", err)
	}
	if err := open(); err != nil || unix.Geteuid() != 0 {
		t.Errorf("afterwards: %v, user %d", err, unix.Geteuid())
	}
}

package bottle

import (
	"fmt"
	"os/user"
	"path/filepath"
	"strconv"
)

// Ranges of uids that no host hands out: below 2^31, where some programs turn
// negative, and outside what systemd gives to users, services and containers
// (https://systemd.io/UIDS-GIDS). Each holds 2^24.
const (
	workerIDs = 0x6E000000 // of enforcers
	mappedIDs = 0x6D000000 // of bottles that root starts for nobody in particular
	idMask    = 1<<24 - 1
)

// workerID is the uid and gid of a bottle's enforcer. It comes from the id of the
// bottle's cgroup, which the kernel allocates cyclically (kernfs): no bookkeeping,
// no two alive at once, and none comes back soon.
func workerID(cgroupID uint64) uint32 { return workerIDs | uint32(cgroupID&idMask) }

// mappedID is the identity of a bottle that has no user of the host behind it.
func mappedID(cgroupID uint64) Identity {
	id := mappedIDs | uint32(cgroupID&idMask)
	return Identity{UID: id, GID: id}
}

// runAs decides whom a bottle runs as: its caller, or whom root says. It is never
// uid 0 of the host, because that uid may write /proc/sys/net even without a
// capability. mapped reports that root named nobody and an identity is to be made.
func runAs(c Caller, asked *Identity) (id Identity, mapped bool, err error) {
	switch {
	case asked != nil && !c.Root():
		return Identity{}, false, fmt.Errorf("%w: only root may choose whom a bottle runs as; leave it out to run as yourself (uid %d)", ErrForbidden, c.UID)
	case asked != nil && (asked.UID == 0 || asked.GID == 0):
		return Identity{}, false, fmt.Errorf("%w: a bottle never runs as uid 0 or gid 0; name another user, or none for an identity of its own", ErrInvalid)
	case asked != nil:
		return *asked, false, nil
	case c.Root():
		return Identity{}, true, nil
	case c.GID == 0:
		return Identity{}, false, fmt.Errorf("%w: a bottle never runs with gid 0; the primary group of uid %d is root", ErrForbidden, c.UID)
	}
	return Identity{UID: c.UID, GID: c.GID}, false, nil
}

// account is what the host's user database says of a uid, with a stand-in for one
// that it does not know, or that is made up.
func account(uid uint32, mapped bool) (name, home string) {
	if !mapped {
		u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
		if err == nil && filepath.IsAbs(u.HomeDir) && u.HomeDir != "/" {
			return u.Username, u.HomeDir
		}
	}
	return "bottle", "/home/bottle"
}

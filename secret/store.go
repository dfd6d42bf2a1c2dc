package secret

import (
	"context"
	"fmt"
	"os/user"
	"slices"
	"strconv"
	"time"
)

// Access says who may launch a bottle with a secret, without ever seeing it. The
// zero Access permits nobody, root included.
type Access struct {
	Users  []uint32 // uids
	Groups []uint32 // gids, primary or supplementary
}

// Allows reports whether a caller may use the secret. uid and groups are what the
// kernel says about the peer (SO_PEERCRED, SO_PEERGROUPS).
func (a Access) Allows(uid uint32, groups []uint32) bool {
	return slices.Contains(a.Users, uid) ||
		slices.ContainsFunc(groups, func(g uint32) bool { return slices.Contains(a.Groups, g) })
}

// NewAccess looks up the names of users and groups; a number stands for itself. A
// name that does not exist is an error, not somebody less.
func NewAccess(users, groups []string) (Access, error) {
	var a Access
	for _, name := range users {
		id, err := lookupID(name, func() (string, error) {
			u, err := user.Lookup(name)
			if err != nil {
				return "", err
			}
			return u.Uid, nil
		})
		if err != nil {
			return Access{}, fmt.Errorf("user %q: %w", name, err)
		}
		a.Users = append(a.Users, id)
	}
	for _, name := range groups {
		id, err := lookupID(name, func() (string, error) {
			g, err := user.LookupGroup(name)
			if err != nil {
				return "", err
			}
			return g.Gid, nil
		})
		if err != nil {
			return Access{}, fmt.Errorf("group %q: %w", name, err)
		}
		a.Groups = append(a.Groups, id)
	}
	return a, nil
}

func lookupID(name string, byName func() (string, error)) (uint32, error) {
	if n, err := strconv.ParseUint(name, 10, 32); err == nil {
		return uint32(n), nil
	}
	s, err := byName()
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err
}

// Store holds the operator's secrets by reference. The zero Store has none. Fill
// it before it is used; after that it is safe for concurrent use.
type Store struct {
	held map[string]holding
}

type holding struct {
	source Source
	access Access
}

// Add puts the secret that ref names under access.
func (s *Store) Add(ref string, access Access) error {
	src, err := Parse(ref)
	if err != nil {
		return err
	}
	if _, ok := s.held[ref]; ok {
		return fmt.Errorf("secret %q is listed twice; keep one entry with everybody who may use it", ref)
	}
	if s.held == nil {
		s.held = make(map[string]holding)
	}
	s.held[ref] = holding{src, access}
	return nil
}

// Fetch returns the secret that ref names for a caller who may use it. Whether an
// unlisted secret or a missing permission stands in the way is not told apart: a
// caller has no business to learn what the operator holds.
func (s *Store) Fetch(ctx context.Context, ref string, uid uint32, groups []uint32) (Token, error) {
	t, _, err := s.Lease(ctx, ref, uid, groups, 0)
	return t, err
}

// A leaser is a [Source] whose tokens expire.
type leaser interface {
	lease(ctx context.Context, spare time.Duration) (Token, time.Time, error)
}

// Lease is [Store.Fetch] that also tells when the token expires; the zero time is
// never, or nobody knows. A token that the source has cached is given out only if
// it lives for spare more.
func (s *Store) Lease(ctx context.Context, ref string, uid uint32, groups []uint32, spare time.Duration) (Token, time.Time, error) {
	h, ok := s.held[ref]
	if !ok || !h.access.Allows(uid, groups) {
		return Token{}, time.Time{}, fmt.Errorf("secret %q: not one that uid %d may use; ask the operator of this host to list it with you", ref, uid)
	}
	if l, ok := h.source.(leaser); ok {
		return l.lease(ctx, spare)
	}
	t, err := h.source.Fetch(ctx)
	return t, time.Time{}, err
}

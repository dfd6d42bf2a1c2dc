package policy

import (
	"errors"
	"fmt"
	"os/user"
	"slices"

	"bottled/secret"
	"bottled/strict"
)

// A Subject is who asks, as the kernel tells (SO_PEERCRED, SO_PEERGROUPS).
type Subject struct {
	UID    uint32
	Groups []uint32 // the primary group and the supplementary ones
}

// Root reports whether the subject is uid 0.
func (s Subject) Root() bool { return s.UID == 0 }

// who is whom a rule is for. The zero who is nobody, root included.
type who struct {
	everybody bool
	listed    secret.Access
}

func (w who) has(s Subject) bool { return w.everybody || w.listed.Allows(s.UID, s.Groups) }

// principals reads the keys users and groups of v. Names are looked up now, so
// that a name that is nobody is an error of the file and not a surprise later.
func principals(r *strict.Reader, v map[string]*strict.Node, key string) secret.Access {
	return secret.Access{
		Users:  ids(r, v["users"], strict.Join(key, "users"), userID),
		Groups: ids(r, v["groups"], strict.Join(key, "groups"), groupID),
	}
}

func ids(r *strict.Reader, n *strict.Node, key string, look func(string) (uint32, error)) []uint32 {
	var list []uint32
	for i, item := range r.List(n, key) {
		at := strict.Index(key, i)
		if item.Kind != strict.Number && !r.Is(item, at, strict.String) {
			continue
		}
		id, err := look(item.Text)
		switch {
		case err != nil:
			r.Fail(item, at, "%v", err)
		case slices.Contains(list, id):
			r.Fail(item, at, "%q is listed twice: remove one", strict.Clip(item.Text))
		default:
			list = append(list, id)
		}
	}
	return list
}

func userID(name string) (uint32, error) {
	a, err := secret.NewAccess([]string{name}, nil)
	if err != nil {
		return 0, nobody("user", name, err)
	}
	return a.Users[0], nil
}

func groupID(name string) (uint32, error) {
	a, err := secret.NewAccess(nil, []string{name})
	if err != nil {
		return 0, nobody("group", name, err)
	}
	return a.Groups[0], nil
}

// nobody is the error of a name that was not found, or could not be looked up.
func nobody(kind, name string, err error) error {
	var noUser user.UnknownUserError
	var noGroup user.UnknownGroupError
	if errors.As(err, &noUser) || errors.As(err, &noGroup) {
		return fmt.Errorf("this host has no %s %q: write one that it has, or a number", kind, strict.Clip(name))
	}
	return err
}

// named is principals where somebody has to be named.
func named(r *strict.Reader, n *strict.Node, v map[string]*strict.Node, key string) secret.Access {
	if n.Kind == strict.Map && strict.Missing(n, v, "users") && strict.Missing(n, v, "groups") {
		r.Fail(n, key, "it is for nobody: add users: [NAME] or groups: [NAME]")
	}
	return principals(r, v, key)
}

// leave reads who may use something: true, false, or users and groups. Without the
// key everybody may.
func leave(r *strict.Reader, n *strict.Node, key string) who {
	switch {
	case n == nil:
		return who{everybody: true}
	case n.Kind == strict.Bool:
		return who{everybody: n.Text == "true"}
	case n.Kind != strict.Map:
		r.Fail(n, key, "this must be true, false, or {users: [NAME], groups: [NAME]}")
		return who{}
	}
	return who{listed: named(r, n, r.Object(n, key, "users", "groups"), key)}
}

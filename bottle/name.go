package bottle

import (
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// slug is what a name may be. It ends in paths, host names and log lines, so it is
// narrower than any of them asks.
var slug = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`) })

// checkName refuses what is not a slug.
func checkName(name string) error {
	if !slug().MatchString(name) {
		return fmt.Errorf("%w: name %q: use 1 to 63 of a-z, 0-9 and '-', beginning with a letter or a digit", ErrInvalid, name)
	}
	return nil
}

// newID makes the identity of a bottle: 80 random bits. It names the cgroup and
// the state directory, and is never used twice, because a cgroup that was killed
// once kills whatever is born in it (Linux 6.18, CLONE_INTO_CGROUP).
func newID() string {
	var b [10]byte
	rand.Read(b[:]) // never fails
	return strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}

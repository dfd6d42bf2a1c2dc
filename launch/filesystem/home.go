package filesystem

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// findHomes notes the home of the bottle and, with MapDir, those of the accounts
// that Dir belongs to: over what is in Dir the bottle gets their rights, so that
// root's .ssh would be the bottle's when root starts it in /root.
func (b *builder) findHomes() error {
	b.homes = []string{realHome(b.Home)}
	if !b.MapDir {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Stat(b.Dir, &st); err != nil {
		return fmt.Errorf("%s: %w", b.Dir, err)
	}
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	for _, home := range homesOf(passwd, st.Uid) {
		b.homes = append(b.homes, realHome(home))
	}
	return nil
}

// homesOf returns the homes of every account with the number uid (passwd(5)). Service
// accounts have the root directory for one, which is nobody's.
func homesOf(passwd []byte, uid uint32) []string {
	want := strconv.FormatUint(uint64(uid), 10)
	var homes []string
	for line := range bytes.Lines(passwd) {
		f := strings.Split(strings.TrimSpace(string(line)), ":")
		if len(f) > 5 && f[2] == want && filepath.IsAbs(f[5]) && filepath.Clean(f[5]) != "/" {
			homes = append(homes, f[5])
		}
	}
	return homes
}

func realHome(home string) string {
	if real, err := filepath.EvalSymlinks(home); err == nil {
		return real
	}
	return resolve(home)
}

package filesystem

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"bottled/launch/identity"
)

// withUser returns passwd with a line for the user if it has none (passwd(5)).
// A name that is taken, or could break the line, is replaced by one from the number.
func withUser(passwd []byte, id identity.Identity, name, home string) []byte {
	if hasNumber(passwd, id.UID) || strings.ContainsAny(home, ":\n") {
		return passwd
	}
	name = accountName(passwd, id.UID, name)
	return appendLine(passwd, fmt.Sprintf("%s:x:%d:%d:%s:%s:/bin/sh", name, id.UID, id.GID, name, home))
}

// withGroup does for group(5) what withUser does for the user.
func withGroup(group []byte, gid uint32, name string) []byte {
	if hasNumber(group, gid) {
		return group
	}
	return appendLine(group, fmt.Sprintf("%s:x:%d:", accountName(group, gid, name), gid))
}

func hasNumber(file []byte, n uint32) bool {
	want := strconv.FormatUint(uint64(n), 10)
	for line := range bytes.Lines(file) {
		if f := strings.Split(string(line), ":"); len(f) > 2 && strings.TrimSpace(f[2]) == want {
			return true
		}
	}
	return false
}

func accountName(file []byte, n uint32, name string) string {
	if name == "" {
		name = "bottle"
	}
	taken := bytes.HasPrefix(file, []byte(name+":")) || bytes.Contains(file, []byte("\n"+name+":"))
	if taken || strings.ContainsAny(name, ":\n/ \t,") {
		return "bottle" + strconv.FormatUint(uint64(n), 10)
	}
	return name
}

func appendLine(file []byte, line string) []byte {
	out := bytes.Clone(file)
	if len(out) > 0 && out[len(out)-1] != '\n' {
		out = append(out, '\n')
	}
	return append(out, line+"\n"...)
}

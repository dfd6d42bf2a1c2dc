package routes

import "bytes"

// AllowlistJSON returns what the magic host's /allowlist shows to the bottle:
// {"routes": [...]} with host, path_allowlist, auth_scheme, token_env, methods,
// ports and protocol of each route, in the order of the table. Never in it: a
// token, private ranges, scanning rules, and where a credential is put.
func (t *Table) AllowlistJSON() []byte {
	var b bytes.Buffer
	b.WriteString(`{"routes": [`)
	for i, r := range t.Routes() {
		line, err := marshal(publicRoute(r))
		if err != nil {
			continue // strings and numbers always marshal
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n  ")
		b.Write(line)
	}
	b.WriteString("\n]}\n")
	return b.Bytes()
}

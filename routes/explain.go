package routes

import (
	"fmt"
	"strings"
)

// Explain returns the decision about q for a person, step by step, ending in a
// newline. The verdict in it is [Table.Decide]'s own.
func Explain(t *Table, q Query) string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-9s %s\n", name, fmt.Sprintf(format, args...))
	}
	d := t.Decide(q)
	line("request", "%s %s://%s%s", clip(q.Method), clip(q.Scheme), q.Authority, strings.Trim(fmt.Sprintf("%q", clip(q.Target)), `"`))
	if s := t.site(q.Authority.Host); s == nil {
		line("host", "no route of %d", len(t.Routes()))
	} else {
		line("host", "%s, ports %s", s.pattern, joinPorts(s.ports()))
	}
	if r := d.Route; r != nil {
		line("route", "%s", describe(r))
		line("token", "%s", describeAuth(r.Auth))
	}
	line("verdict", "%s: %s", d.Verdict, d.Reason)
	if d.Detail != "" {
		line("", "%s", d.Detail)
	}
	return b.String()
}

func describe(r *Route) string {
	words := []string{r.Protocol.String(), r.Host.String()}
	switch {
	case r.AnyPath:
		words = append(words, "any path")
	case len(r.Paths) == 0:
		words = append(words, "no path")
	default:
		for _, p := range r.Paths {
			words = append(words, p.String())
		}
	}
	if r.Methods != nil {
		words = append(words, "methods "+strings.Join(r.Methods, " "))
	}
	if r.Sealed {
		words = append(words, "sealed")
	}
	return strings.Join(words, " ")
}

func describeAuth(a *Auth) string {
	switch {
	case a == nil:
		return "none"
	case a.Query != "":
		return fmt.Sprintf("%s in the query parameter %s", a.Slot, a.Query)
	}
	return fmt.Sprintf("%s as %s in %s", a.Slot, a.Scheme, a.Field())
}

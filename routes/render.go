package routes

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"bottled/strict"
)

// renderedRoute is one route in the routes file. A path list that is there and
// empty is another thing than one that is absent, hence the pointers.
type renderedRoute struct {
	Host         string       `json:"host"`
	Paths        *[]string    `json:"path_allowlist,omitempty"`
	AuthScheme   string       `json:"auth_scheme,omitempty"`
	TokenEnv     string       `json:"token_env,omitempty"`
	AuthHeader   string       `json:"auth_header,omitempty"`
	AuthUsername string       `json:"auth_username,omitempty"`
	AuthQuery    string       `json:"auth_query,omitempty"`
	Methods      []string     `json:"methods,omitempty"`
	Ports        []uint16     `json:"ports,omitempty"`
	Protocol     string       `json:"protocol,omitempty"`
	Sealed       bool         `json:"sealed,omitempty"`
	AllowPrivate []string     `json:"allow_private,omitempty"`
	DLP          *renderedDLP `json:"dlp,omitempty"`
}

type renderedDLP struct {
	Mode       DLPMode `json:"mode,omitempty"`
	Exempt     []any   `json:"exempt,omitempty"` // a rule's id, or an Exemption of one match
	Unreadable DLPMode `json:"unreadable,omitempty"`
}

func renderDLP(d *DLP) *renderedDLP {
	if d == nil {
		return nil
	}
	out := &renderedDLP{Mode: d.Mode, Unreadable: d.Unreadable}
	for _, e := range d.Exempt {
		if e.Fingerprint == "" {
			out.Exempt = append(out.Exempt, e.Rule)
		} else {
			out.Exempt = append(out.Exempt, e)
		}
	}
	return out
}

// Render writes the routes file that the enforcer loads: JSON, one route a line,
// so that a diff shows what changed. No token, no variable of the host and no
// path of the host is in it. It refuses what [Parse] would not take.
func Render(list []*Route) ([]byte, error) {
	if _, err := NewTable(list, 0); err != nil {
		return nil, fmt.Errorf("rendering: %w", err)
	}
	var b bytes.Buffer
	b.WriteString(`{"routes": [`)
	for i, r := range list {
		line, err := marshal(renderRoute(r))
		if err != nil {
			return nil, fmt.Errorf("rendering %s: %w", r.Host, err)
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n  ")
		b.Write(line)
	}
	if len(list) > 0 {
		b.WriteByte('\n')
	}
	b.WriteString("]}\n")
	return b.Bytes(), nil
}

// marshal is json.Marshal without the escapes for HTML.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func renderRoute(r *Route) renderedRoute {
	out := publicRoute(r)
	if a := r.Auth; a != nil {
		out.AuthHeader, out.AuthUsername, out.AuthQuery = a.Header, a.Username, a.Query
	}
	for _, p := range r.AllowPrivate {
		out.AllowPrivate = append(out.AllowPrivate, p.String())
	}
	out.DLP = renderDLP(r.DLP)
	return out
}

// publicRoute is the part that the bottle itself may see.
func publicRoute(r *Route) renderedRoute {
	out := renderedRoute{Host: r.Host.String(), Methods: r.Methods, Ports: r.Ports, Sealed: r.Sealed}
	if !r.AnyPath {
		paths := make([]string, 0, len(r.Paths))
		for _, p := range r.Paths {
			paths = append(paths, p.String())
		}
		out.Paths = &paths
	}
	if r.Protocol != HTTP {
		out.Protocol = r.Protocol.String()
	}
	if r.Auth != nil {
		out.AuthScheme, out.TokenEnv = r.Auth.Scheme, r.Auth.Slot
	}
	return out
}

// Parse reads a routes file into a table. It is strict: keys are compared with
// their case, equal keys, unknown keys, trailing data and whatever [NewTable]
// refuses are errors, and after an error there is no table. An empty list is a
// table that denies everything.
func Parse(data []byte, generation uint64) (*Table, error) {
	r := &reader{strict.New(renderedName, "routes file")}
	n := r.JSON(data)
	if err := r.Err(); err != nil {
		return nil, err
	}
	v := r.Object(n, "", "routes")
	if strict.Missing(n, v, "routes") {
		r.Fail(n, "", `there is no list of routes: write {"routes": []} to deny everything`)
	}
	items := r.List(v["routes"], "routes")
	list := make([]*Route, 0, len(items))
	for i, item := range items {
		list = append(list, r.renderedRoute(item, strict.Index("routes", i)))
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	t, err := NewTable(list, generation)
	if err != nil {
		return nil, Problems{{File: renderedName, Text: err.Error()}}
	}
	return t, nil
}

func (r *reader) renderedRoute(n *strict.Node, key string) *Route {
	v := r.Object(n, key, "host", "path_allowlist", "auth_scheme", "token_env", "auth_header", "auth_username", "auth_query",
		"methods", "ports", "protocol", "sealed", "allow_private", "dlp")
	if strict.Missing(n, v, "host") {
		r.Fail(n, key, "the route has no host")
	}
	route := r.route(v, key)
	if v["auth_scheme"] == nil && v["token_env"] == nil {
		for _, name := range []string{"auth_header", "auth_username", "auth_query"} {
			if v[name] != nil {
				r.Fail(v[name], strict.Join(key, name), "it belongs to auth_scheme and token_env, which are not there")
			}
		}
		return &route
	}
	if v["auth_scheme"] == nil || v["token_env"] == nil {
		r.Fail(n, key, "auth_scheme and token_env belong together: add the missing one")
		return &route
	}
	route.Auth = &Auth{
		Scheme:   r.Text(v["auth_scheme"], key+".auth_scheme"),
		Slot:     strict.Parsed(r.Reader, v["token_env"], key+".token_env", parseSlot),
		Header:   strict.Parsed(r.Reader, v["auth_header"], key+".auth_header", parseAuthHeader),
		Username: r.Text(v["auth_username"], key+".auth_username"),
		Query:    r.Text(v["auth_query"], key+".auth_query"),
	}
	return &route
}

func parseSlot(s string) (string, error) {
	if !isSlot(s) {
		return "", fmt.Errorf("%q is not a token slot: they are %s and so on", clip(s), slotName(0))
	}
	return s, nil
}

func isSlot(s string) bool {
	digits, ok := strings.CutPrefix(s, "EGRESS_PROXY_TOKEN_")
	n, err := strconv.ParseUint(digits, 10, 31)
	return ok && err == nil && strconv.FormatUint(n, 10) == digits
}

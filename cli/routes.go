package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"bottled/api"
	"bottled/api/client"
	"bottled/routes"
)

func (a *App) routes(args []string) (int, error) {
	if len(args) == 0 {
		return 0, usagef("say what to do: check, explain, show or update")
	}
	switch args[0] {
	case "check":
		return a.routesCheck(args[1:])
	case "explain":
		return a.routesExplain(args[1:])
	case "show":
		return a.routesShow(args[1:])
	case "update":
		return a.routesUpdate(args[1:])
	}
	f := flags("routes")
	if err := parse(f, args); err != nil {
		return 0, err
	}
	return 0, usagef("%q is none of check, explain, show and update", args[0])
}

func (a *App) routesCheck(args []string) (int, error) {
	f := flags("routes check")
	if err := parse(f, args); err != nil {
		return 0, err
	}
	if f.NArg() != 1 {
		return 0, usagef("name one manifest")
	}
	m, e, err := effective(f.Arg(0))
	if err != nil {
		return 0, err
	}
	fmt.Fprintf(a.Stdout, "%s: ok, %s (%d of its own), %s\n", m.name,
		count(len(e.Routes), "route"), len(e.Own), count(len(e.Slots), "token"))
	for _, s := range e.Slots {
		fmt.Fprintf(a.Stdout, "  %s = %s\n", s.Name, s.Ref)
	}
	for _, w := range m.parsed.Warnings() {
		fmt.Fprintf(a.Stdout, "%s\n", w)
	}
	return 0, nil
}

// effective reads a manifest, folds it, and makes the table once, so that all that
// the daemon would find is found here.
func effective(name string) (*manifest, *routes.Effective, error) {
	m, err := readManifest(name)
	if err != nil {
		return nil, nil, err
	}
	e, err := m.parsed.Effective()
	if err != nil {
		return nil, nil, err
	}
	_, err = e.Table(1)
	return m, e, err
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (a *App) routesExplain(args []string) (int, error) {
	f := flags("routes explain")
	file := f.String("manifest", "", "")
	method := f.String("method", http.MethodGet, "")
	if err := parse(f, args); err != nil {
		return 0, err
	}
	if f.NArg() != 1 || *file == "" {
		return 0, usagef("explain takes --manifest FILE and one URL")
	}
	_, e, err := effective(*file)
	if err != nil {
		a.complain(err)
		return exitUsage, nil // 1 is an answer here
	}
	t, err := e.Table(1)
	if err != nil {
		return 0, err
	}
	q, err := query(*method, f.Arg(0))
	if err != nil {
		return 0, err
	}
	fmt.Fprint(a.Stdout, routes.Explain(t, q))
	if !t.Decide(q).Allowed() {
		return exitFailure, nil
	}
	return 0, nil
}

// query is the request that a well-behaved client makes for a URL. The URL is cut
// rather than parsed: its path goes into the question byte for byte.
func query(method, address string) (q routes.Query, err error) {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		scheme, rest = "https", address
	}
	var port uint16
	switch scheme = strings.ToLower(scheme); scheme {
	case "https":
		port = 443
	case "http":
		port = 80
	default:
		return q, usagef("%q: only http and https addresses can be asked about", address)
	}
	rest, _, _ = strings.Cut(rest, "#")
	authority, target := rest, "/"
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		authority, target = rest[:i], rest[i:]
		if target[0] == '?' {
			target = "/" + target
		}
	}
	q = routes.Query{Scheme: scheme, Method: method, Target: target}
	if q.Authority, err = routes.ParseAuthority(authority, port); err != nil {
		return q, usagef("%q: %v", address, err)
	}
	if _, isIP := q.Authority.Host.Addr(); scheme == "https" && !isIP {
		q.SNI = q.Authority.Host
	}
	return q, nil
}

func (a *App) routesShow(args []string) (int, error) {
	f := flags("routes show")
	ref := f.String("bottle", "", "")
	asJSON := f.Bool("json", false, "")
	socket := a.socketFlag(f)
	if err := parse(f, args); err != nil {
		return 0, err
	}
	if (*ref == "") == (f.NArg() == 0) || f.NArg() > 1 {
		return 0, usagef("show takes one manifest, or --bottle BOTTLE")
	}
	if *ref != "" {
		return 0, a.showLive(*socket, *ref, *asJSON)
	}
	_, e, err := effective(f.Arg(0))
	if err != nil {
		return 0, err
	}
	data, err := routes.Render(e.Routes)
	if err != nil {
		return 0, err
	}
	if *asJSON {
		_, err = a.Stdout.Write(data)
		return 0, err
	}
	return 0, a.routeTable(data)
}

// showLive prints the table that a bottle's enforcer decides by now.
func (a *App) showLive(socket, ref string, asJSON bool) error {
	c := client.New(socket)
	defer c.Close()
	i, err := c.Inspect(context.Background(), ref)
	switch {
	case err != nil:
		return err
	case i.Allowlist == nil:
		return fmt.Errorf("bottle %q is %s and has no live table", i.Name, i.State)
	case asJSON:
		return printJSON(a.Stdout, i.Allowlist)
	}
	return a.routeTable(i.Allowlist)
}

// shownRoute is what people are shown of a route, from a rendered table.
type shownRoute struct {
	Host     string    `json:"host"`
	Ports    []uint16  `json:"ports"`
	Methods  []string  `json:"methods"`
	Paths    *[]string `json:"path_allowlist"` // nil: every path
	Protocol string    `json:"protocol"`
	Slot     string    `json:"token_env"`
}

// routeTable prints a rendered table as columns.
func (a *App) routeTable(rendered []byte) error {
	var table struct{ Routes []shownRoute }
	if err := json.Unmarshal(rendered, &table); err != nil {
		return fmt.Errorf("the route table makes no sense to this program: %w", err)
	}
	rows := [][]string{{"HOST", "PORTS", "METHODS", "PATHS", "AUTH"}}
	for _, r := range table.Routes {
		rows = append(rows, r.row())
	}
	return a.table(rows)
}

func (r shownRoute) row() []string {
	ports, methods, paths, auth := "default", "any", "any", "-"
	if len(r.Ports) > 0 {
		ports = strings.Trim(strings.ReplaceAll(fmt.Sprint(r.Ports), " ", ","), "[]")
	}
	if r.Methods != nil {
		methods = strings.Join(r.Methods, ",")
	}
	if r.Protocol != "" { // not HTTP
		methods, paths = r.Protocol, "-"
	} else if r.Paths != nil {
		paths = strings.Join(*r.Paths, " ")
	}
	if r.Slot != "" {
		auth = r.Slot
	}
	return []string{r.Host, ports, methods, paths, auth}
}

func (a *App) routesUpdate(args []string) (int, error) {
	f := flags("routes update")
	file := f.String("manifest", "", "")
	socket := a.socketFlag(f)
	if err := parse(f, args); err != nil {
		return 0, err
	}
	if f.NArg() != 1 || *file == "" {
		return 0, usagef("update takes --manifest FILE and one bottle")
	}
	m, e, err := effective(*file)
	if err != nil {
		return 0, err
	}
	refs := make([]routes.TokenRef, 0, len(e.Slots))
	for _, s := range e.Slots {
		refs = append(refs, s.Ref)
	}
	tokens, err := a.tokens(refs)
	if err != nil {
		return 0, err
	}
	c := client.New(*socket)
	defer c.Close()
	r, err := c.UpdateRoutes(context.Background(), f.Arg(0), api.RoutesRequest{Manifest: m.text, ManifestName: m.name, Files: m.files, Tokens: tokens})
	if err != nil {
		return 0, err
	}
	fmt.Fprintf(a.Stdout, "%s in force, generation %d\n", count(r.Routes, "route"), r.Generation)
	return 0, nil
}

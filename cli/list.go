package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"bottled/api"
	"bottled/api/client"
)

func (a *App) list(args []string) (int, error) {
	f := flags("ls")
	all, asJSON := f.Bool("all", false, ""), f.Bool("json", false, "")
	socket := a.socketFlag(f)
	if err := parse(f, args); err != nil {
		return 0, err
	}
	if f.NArg() > 0 {
		return 0, usagef("%q is one argument too many", f.Arg(0))
	}
	c := client.New(*socket)
	defer c.Close()
	bottles, err := c.List(context.Background(), *all)
	if err != nil {
		return 0, err
	}
	if *asJSON {
		return 0, printJSON(a.Stdout, bottles)
	}
	rows := [][]string{{"NAME", "ID", "STATE", "OWNER", "AGE", "ROUTES", "COMMAND"}}
	for _, b := range bottles {
		rows = append(rows, []string{b.Name, b.ID, stateOf(b), ownerName(b.Owner), age(time.Since(b.Created)), strconv.Itoa(b.Routes), commandLine(b.Command)})
	}
	return 0, a.table(rows)
}

func (a *App) inspect(args []string) (int, error) {
	f := flags("inspect")
	asJSON := f.Bool("json", false, "")
	socket := a.socketFlag(f)
	if err := parse(f, args); err != nil {
		return 0, err
	}
	if f.NArg() != 1 {
		return 0, usagef("name one bottle")
	}
	c := client.New(*socket)
	defer c.Close()
	i, err := c.Inspect(context.Background(), f.Arg(0))
	if err != nil {
		return 0, err
	}
	if *asJSON {
		return 0, printJSON(a.Stdout, i)
	}
	return 0, a.printInspection(i)
}

func (a *App) printInspection(i api.Inspection) error {
	rows := [][]string{
		{"name", i.Name}, {"id", i.ID}, {"state", stateOf(i.Bottle)}, {"owner", ownerName(i.Owner)},
		{"runs as", fmt.Sprintf("uid %d, gid %d", i.User.UID, i.User.GID)},
		{"command", commandLine(i.Command)}, {"directory", printable(i.Dir)},
		{"created", i.Created.Local().Format(time.DateTime)},
		{"routes", fmt.Sprintf("%d, generation %d", i.Routes, i.Generation)},
	}
	if i.Exit == nil { // afterwards the numbers are free for others
		rows = append(rows,
			[]string{"init", strconv.Itoa(i.PID)}, []string{"enforcer", strconv.Itoa(i.WorkerPID)},
			[]string{"cgroup", i.Cgroup}, []string{"network", fmt.Sprintf("net:[%d]", i.NetNS)})
	}
	if u := i.UpstreamProxy; u != nil {
		rows = append(rows, []string{"through", throughProxy(*u)})
	}
	for _, r := range rows {
		if _, err := fmt.Fprintf(a.Stdout, "%-10s %s\n", r[0], r[1]); err != nil {
			return err
		}
	}
	fmt.Fprintf(a.Stdout, "\n%s\n%s", a.bold("manifest"), indent(i.Manifest))
	for _, name := range slices.Sorted(maps.Keys(i.Kernel)) {
		fmt.Fprintf(a.Stdout, "\n%s\n%s", a.bold(name), indent(i.Kernel[name]))
	}
	return nil
}

// throughProxy says which proxy a bottle goes through, who says so, and what it is shown.
func throughProxy(u api.UpstreamProxy) string {
	text := fmt.Sprintf("%s, as the %s says", u.URL, u.From)
	if u.Scheme != "" {
		text += ", with a credential (" + u.Scheme + ")"
	}
	if u.CA != "" {
		text += ", with an authority of its own"
	}
	return text
}

// stateOf is the state, with the status of a bottle that has ended.
func stateOf(b api.Bottle) string {
	if b.Exit != nil {
		return fmt.Sprintf("%s (%d)", b.State, status(*b.Exit))
	}
	return string(b.State)
}

func ownerName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

// age is a duration as people say it: two digits or so.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours())/24)
}

// commandLine shows arguments so that none can pass for two, or for a line of its own.
func commandLine(argv []string) string {
	shown := make([]string, len(argv))
	for i, arg := range argv {
		shown[i] = arg
		if arg == "" || strings.ContainsAny(arg, " '\"") || printable(arg) != arg {
			shown[i] = strconv.Quote(arg)
		}
	}
	return strings.Join(shown, " ")
}

// printable escapes what could move a terminal's cursor.
func printable(s string) string {
	q := strconv.Quote(s)
	if q = q[1 : len(q)-1]; strings.ContainsRune(q, '\\') {
		return q
	}
	return s
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

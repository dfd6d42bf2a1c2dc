package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"bottled/api/client"
	"bottled/audit"
)

func (a *App) logs(args []string) (int, error) {
	f := flags("logs")
	q := client.EventsQuery{}
	f.BoolVar(&q.Follow, "f", false, "")
	f.StringVar(&q.Bottle, "bottle", "", "")
	f.BoolVar(&q.Denied, "denied", false, "")
	asJSON := f.Bool("json", false, "")
	socket := a.socketFlag(f)
	if err := parse(f, args); err != nil {
		return 0, err
	}
	if f.NArg() > 0 {
		return 0, usagef("%q is one argument too many; --bottle names a bottle", f.Arg(0))
	}
	c := client.New(*socket)
	defer c.Close()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	show := a.eventJSON
	if !*asJSON {
		show = a.eventColumns(ctx, c)
	}
	err := c.Events(ctx, q, show)
	if errors.Is(err, context.Canceled) {
		return 0, nil
	}
	return 0, err
}

// eventJSON prints an event as the API tells it, in ASCII: no character of a peer's
// acts on a terminal.
func (a *App) eventJSON(e audit.Event) error {
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.Stdout, "%s\n", ascii(text))
	return err
}

// ascii escapes what is not ASCII in a JSON text, all of which is in strings.
func ascii(text []byte) []byte {
	var b bytes.Buffer
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch high, low := utf16.EncodeRune(r); {
		case r < 0x7f:
			b.WriteByte(text[0])
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		}
		text = text[n:]
	}
	return b.Bytes()
}

// nameWidth is the column of a bottle's name; longer ones push the line.
const nameWidth = 12

// eventColumns prints events as aligned lines with the bottles' names, which it asks
// for when one is new.
func (a *App) eventColumns(ctx context.Context, c *client.Client) func(audit.Event) error {
	names := make(map[string]string)
	a.head()
	return func(e audit.Event) error {
		if _, known := names[e.Bottle]; !known {
			names[e.Bottle] = e.Bottle // the answer if nobody knows better
			if list, err := c.List(ctx, true); err == nil {
				for _, b := range list {
					names[b.ID] = b.Name
				}
			}
		}
		_, err := fmt.Fprintln(a.Stdout, a.eventLine(e, names[e.Bottle]))
		return err
	}
}

func (a *App) head() {
	if a.coloured() {
		fmt.Fprintln(a.Stdout, a.bold(fmt.Sprintf("%-12s %-5s %-*s %-7s %s", "TIME", "", nameWidth, "BOTTLE", "METHOD", "TARGET")))
	}
}

// eventLine is one event on one line, every word of a peer's escaped.
func (a *App) eventLine(e audit.Event, name string) string {
	verdict := fmt.Sprintf("%-5s", e.Verdict)
	if e.Verdict == audit.Allow {
		verdict = a.green(verdict)
	} else {
		verdict = a.red(verdict)
	}
	if name == "" && e.Owner != "" { // of a start that came to nothing, it is all there is to tell
		name = "uid " + e.Owner
	}
	what := e.Method
	if what == "" {
		what = string(e.Kind)
	}
	words := []string{audit.Visible(e.Target())}
	if e.Status != 0 {
		words = append(words, strconv.Itoa(e.Status))
	}
	if e.Kind == audit.Request || e.Kind == audit.Connection {
		words = append(words, fmt.Sprintf("↑%s ↓%s %v", bytesOf(uint64(e.BytesUp)), bytesOf(uint64(e.BytesDown)), e.Duration.Round(time.Millisecond)))
	}
	if e.Count > 0 {
		words = append(words, "count="+strconv.FormatUint(e.Count, 10))
	}
	if e.Verdict != audit.Allow || e.Kind == audit.Control {
		words = append(words, audit.Visible(e.Reason))
	}
	if e.Process.PID != 0 {
		words = append(words, fmt.Sprintf("by=%s[%d]", audit.Visible(e.Process.Comm), e.Process.PID))
	}
	if e.RequestID != "" {
		words = append(words, "id="+audit.Visible(e.RequestID))
	}
	return fmt.Sprintf("%s %s %-*s %-7s %s", e.Time.Local().Format("15:04:05.000"), verdict,
		nameWidth, audit.Visible(name), audit.Visible(what), strings.Join(words, " "))
}

// bytesOf is a number of bytes in three digits or so.
func bytesOf(n uint64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return strconv.FormatUint(n, 10)
	}
	f, unit := float64(n), -1
	for f >= 1000 && unit < len(units)-1 {
		f, unit = f/1024, unit+1
	}
	if f < 10 {
		return fmt.Sprintf("%.1f%c", f, units[unit])
	}
	return fmt.Sprintf("%.0f%c", f, units[unit])
}

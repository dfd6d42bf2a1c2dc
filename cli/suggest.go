package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"

	"bottled/api/client"
	"bottled/audit"
	"bottled/suggest"
)

// maxLearned bounds the refusals that are recorded and looked at: more are the same again.
const maxLearned = 100_000

func (a *App) suggest(args []string) (int, error) {
	f := flags("suggest")
	from := f.String("from", "", "")
	socket := a.socketFlag(f)
	if err := parse(f, args); err != nil {
		return 0, err
	}
	if (f.NArg() == 1) == (*from != "") || f.NArg() > 1 {
		return 0, usagef("name one bottle, or --from FILE")
	}
	var events []audit.Event
	var err error
	if *from != "" {
		events, err = readEvents(*from)
	} else {
		c := client.New(*socket)
		defer c.Close()
		err = c.Events(context.Background(), client.EventsQuery{Bottle: f.Arg(0), Denied: true}, func(e audit.Event) error {
			events = append(events, e)
			return nil
		})
	}
	if err != nil {
		return 0, err
	}
	text, err := suggest.From(events).Manifest()
	if err != nil {
		return 0, err
	}
	_, err = a.Stdout.Write(text)
	return 0, err
}

// readEvents reads JSON lines: what run --learn or logs --json wrote, or an audit log.
func readEvents(name string) ([]audit.Event, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var events []audit.Event
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 64<<10)
	for n := 1; lines.Scan(); n++ {
		var e audit.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("%s: line %d is not an event: %w", name, n, err)
		}
		if e.Verdict == audit.Allow {
			continue
		}
		if events = append(events, e); len(events) > maxLearned {
			return nil, fmt.Errorf("%s: more than %d refusals", name, maxLearned)
		}
	}
	return events, lines.Err()
}

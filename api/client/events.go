package client

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"bottled/api"
	"bottled/audit"
)

// maxEvent bounds a line of a stream of events, in bytes.
const maxEvent = 64 << 10

// EventsQuery says which events to ask for. The zero value is all that the daemon
// remembers and the caller may see.
type EventsQuery struct {
	Bottle string // id or name; "": of all
	Denied bool   // only what was denied
	Follow bool   // go on with what comes
}

// Events calls each for every event, oldest first, until there is no more, ctx
// ends, or each returns an error, which is then the one returned. With Follow the
// stream ends by itself only with the daemon, which is [ErrLost].
func (c *Client) Events(ctx context.Context, q EventsQuery, each func(audit.Event) error) error {
	values := url.Values{"denied": {strconv.FormatBool(q.Denied)}, "follow": {strconv.FormatBool(q.Follow)}}
	if q.Bottle != "" {
		values.Set("bottle", q.Bottle)
	}
	r, err := http.NewRequestWithContext(ctx, "GET", "http://bottled/"+api.Version+"/events?"+values.Encode(), nil)
	if err != nil {
		return err
	}
	w, err := c.http.Do(r)
	if err != nil {
		return unwrap(err)
	}
	defer w.Body.Close()
	if w.StatusCode != http.StatusOK {
		return refusal(w)
	}
	lines := bufio.NewScanner(w.Body)
	lines.Buffer(nil, maxEvent)
	for lines.Scan() {
		var e audit.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return fmt.Errorf("the daemon's event makes no sense to this program (are they the same version?): %w", err)
		}
		if err := each(e); err != nil {
			return err
		}
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case lines.Err() != nil:
		return fmt.Errorf("%w: %w", ErrLost, lines.Err())
	case q.Follow:
		return fmt.Errorf("%w: the daemon ended", ErrLost)
	}
	return nil
}

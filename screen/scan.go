package screen

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"bottled/dlp"
	"bottled/proxy"
	"bottled/routes"
)

// scan is one request. The mutex is held while the engine works, and given up
// while the body waits for its client: Close does not wait for that.
type scan struct {
	contentType, encoding string
	unreadable            bool // a body may pass whose encoding is not known

	mu     sync.Mutex
	scan   *dlp.Scan
	closed bool
	found  []proxy.Finding // once it is closed
}

// head judges what is sent before the body, in the order of net/http.
func (c *scan) head(q routes.Query, header http.Header) *proxy.Blocked {
	path, query, _ := strings.Cut(q.Target, "?")
	for _, part := range []struct {
		kind dlp.Kind
		text string
	}{{dlp.Method, q.Method}, {dlp.Path, path}, {dlp.Query, query}, {dlp.Authority, q.Authority.String()}} {
		// Here nothing can be overwritten: what was judged is what is sent.
		if c.scan.Field(part.kind, "", part.text) != part.text {
			return c.blocked(&dlp.BlockedError{Finding: c.latest()})
		}
	}
	c.fields(dlp.Header, header)
	return c.blocked(c.scan.Err())
}

// fields judges a header or trailer and overwrites in it what is to be.
func (c *scan) fields(kind dlp.Kind, fields http.Header) {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		for i, value := range fields[name] {
			fields[name][i] = c.scan.Field(kind, name, value)
		}
	}
}

// latest is the last thing found.
func (c *scan) latest() dlp.Finding {
	findings := c.scan.Close().Findings
	return findings[len(findings)-1]
}

// Body implements [proxy.Scan]. A body whose length nobody declared may be one half
// of a conversation, so nothing of it that is decided waits for more.
func (c *scan) Body(src io.Reader, length int64, trailer func() http.Header) io.Reader {
	options := dlp.BodyOptions{Type: c.contentType, Encoding: c.encoding, Interactive: length < 0, Unreadable: c.unreadable}
	if trailer != nil {
		options.Trailer = func() { c.fields(dlp.Trailer, trailer()) }
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return &body{c, c.scan.Outgoing(source{c, src}, options)}
}

// body is what may leave.
type body struct {
	c   *scan
	out io.Reader
}

func (b *body) Read(p []byte) (int, error) {
	b.c.mu.Lock()
	defer b.c.mu.Unlock()
	if b.c.closed {
		return 0, io.ErrClosedPipe
	}
	n, err := b.out.Read(p)
	if refused := b.c.blocked(err); refused != nil {
		return 0, refused
	}
	return n, err
}

// source is what the client sends. It is read with the mutex held.
type source struct {
	c   *scan
	src io.Reader
}

func (s source) Read(p []byte) (int, error) {
	s.c.mu.Unlock()
	n, err := s.src.Read(p)
	s.c.mu.Lock()
	if s.c.closed {
		return 0, io.ErrClosedPipe
	}
	return n, err
}

// Frame implements [proxy.Scan].
func (c *scan) Frame(opcode byte, _ bool, p []byte) *proxy.Blocked {
	const control = 0x8 // RFC 6455 section 5.2
	kind := dlp.Message
	if opcode&control != 0 {
		kind = dlp.Control
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.blocked(c.scan.Messages(kind, p))
}

// Close implements [proxy.Scan].
func (c *scan) Close() []proxy.Finding {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.found
	}
	c.closed = true
	verdict := c.scan.Close()
	if verdict.Refusal != nil {
		c.found = append(c.found, proxy.Finding{Rule: string(verdict.Refusal.Reason)})
	}
	worst := slices.SortedStableFunc(slices.Values(verdict.Findings), func(a, b dlp.Finding) int { return int(b.Mode) - int(a.Mode) })
	for _, f := range worst {
		c.found = append(c.found, show(f, verdict.Findings))
	}
	return c.found
}

// blocked makes a refusal of the engine's error; nil where it is another or none.
func (c *scan) blocked(err error) *proxy.Blocked {
	var match *dlp.BlockedError
	var refusal *dlp.Refusal
	switch {
	case errors.As(err, &match):
		f := show(match.Finding, c.scan.Close().Findings)
		return &proxy.Blocked{Finding: f, Detail: "the " + f.Where + " holds what looks like a secret that must not leave: remove it, or ask for an exemption from rule " + f.Rule}
	case errors.As(err, &refusal):
		return &proxy.Blocked{Finding: proxy.Finding{Rule: string(refusal.Reason)}, Detail: refusal.Error()}
	}
	return nil
}

// show makes of a finding what may be shown. The name of a field is shown unless
// something was found in one: then it may be that.
func show(f dlp.Finding, all []dlp.Finding) proxy.Finding {
	out := proxy.Finding{Rule: f.Rule, Where: f.Kind.String(), Fingerprint: f.Fingerprint}
	if f.Name != "" && !slices.ContainsFunc(all, func(o dlp.Finding) bool { return o.Name == "" && (o.Kind == dlp.Header || o.Kind == dlp.Trailer) }) {
		out.Where += " " + f.Name
	}
	if f.Via != "" {
		out.Where += " (" + f.Via + ")"
	}
	switch f.Kind {
	case dlp.Method:
		out.Part = proxy.PartMethod
	case dlp.Authority:
		out.Part = proxy.PartAuthority
	case dlp.Path, dlp.Joined: // a piece of what was joined may have been in the path
		out.Part = proxy.PartPath
	}
	return out
}

// Package client speaks the daemon's API over its Unix socket: one method per
// endpoint, with the types of package api.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"

	"bottled/api"
)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 16 << 20

// A Client is safe for concurrent use.
type Client struct {
	socket string
	http   *http.Client
}

// New makes a client of the daemon at socket. It does not connect yet.
func New(socket string) *Client {
	c := &Client{socket: socket}
	c.http = &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return c.dial(ctx) },
	}}
	return c
}

// Close ends the connections that are idle.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Error is an answer that is not a success.
type Error struct {
	Status    int    // of HTTP
	Code      string // as [api.Error] lists them
	Message   string
	RequestID string
}

// Error is the daemon's own text, which is meant for a person.
func (e *Error) Error() string { return e.Message }

// Code returns the [api.Error] code in err, or "".
func Code(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// Version asks what listens.
func (c *Client) Version(ctx context.Context) (v api.VersionInfo, err error) {
	return v, c.call(ctx, "GET", "version", nil, &v, nil)
}

// Doctor asks what the host offers.
func (c *Client) Doctor(ctx context.Context) (d api.Doctor, err error) {
	return d, c.call(ctx, "GET", "doctor", nil, &d, nil)
}

// List asks for the caller's bottles, or everybody's if that is root; with all,
// also for those that ended.
func (c *Client) List(ctx context.Context, all bool) (b []api.Bottle, err error) {
	return b, c.call(ctx, "GET", "bottles?all="+strconv.FormatBool(all), nil, &b, nil)
}

// Inspect asks for everything about a bottle.
func (c *Client) Inspect(ctx context.Context, ref string) (i api.Inspection, err error) {
	return i, c.call(ctx, "GET", "bottles/"+url.PathEscape(ref), nil, &i, nil)
}

// Create makes a bottle. The files go along as [api.CreateRequest] says and stay
// the caller's to close.
func (c *Client) Create(ctx context.Context, r api.CreateRequest, files ...*os.File) (b api.Bottle, err error) {
	if err := errors.Join(checkCommand(r.Command, r.Dir, r.Env), checkTokens(r.Tokens)); err != nil {
		return b, err
	}
	return b, c.call(ctx, "POST", "bottles", r, &b, files)
}

// Wait returns when the bottle's command has ended. With attached, an end of ctx
// or of this process lets the bottle go.
func (c *Client) Wait(ctx context.Context, ref string, attached bool) (e api.Exit, err error) {
	return e, c.call(ctx, "GET", "bottles/"+url.PathEscape(ref)+"/wait?attached="+strconv.FormatBool(attached), nil, &e, nil)
}

// Exec starts a command in a bottle, with files as for [Client.Create].
func (c *Client) Exec(ctx context.Context, ref string, r api.ExecRequest, files ...*os.File) (e api.Exec, err error) {
	if err := checkCommand(r.Command, r.Dir, r.Env); err != nil {
		return e, err
	}
	return e, c.call(ctx, "POST", "bottles/"+url.PathEscape(ref)+"/exec", r, &e, files)
}

// WaitExec returns when that command has ended.
func (c *Client) WaitExec(ctx context.Context, ref, exec string) (e api.Exit, err error) {
	return e, c.call(ctx, "GET", "bottles/"+url.PathEscape(ref)+"/exec/"+url.PathEscape(exec)+"/wait", nil, &e, nil)
}

// Signal sends a signal to the bottle's command, or to an exec.
func (c *Client) Signal(ctx context.Context, ref string, r api.SignalRequest) error {
	return c.call(ctx, "POST", "bottles/"+url.PathEscape(ref)+"/signal", r, nil, nil)
}

// UpdateRoutes replaces a bottle's route table.
func (c *Client) UpdateRoutes(ctx context.Context, ref string, r api.RoutesRequest) (a api.RoutesResponse, err error) {
	if err := checkTokens(r.Tokens); err != nil {
		return a, err
	}
	return a, c.call(ctx, "PUT", "bottles/"+url.PathEscape(ref)+"/routes", r, &a, nil)
}

// Proposals returns what the agents of the caller's bottles propose.
func (c *Client) Proposals(ctx context.Context) (list []api.Proposal, err error) {
	return list, c.call(ctx, "GET", "proposals", nil, &list, nil)
}

// Decide approves or denies a proposal.
func (c *Client) Decide(ctx context.Context, ref string, number uint64, r api.DecisionRequest) error {
	path := "bottles/" + url.PathEscape(ref) + "/proposals/" + strconv.FormatUint(number, 10)
	return c.call(ctx, "POST", path, r, nil, nil)
}

// Stats asks for the counts of the caller's running bottles, or everybody's.
func (c *Client) Stats(ctx context.Context) (s []api.Stats, err error) {
	return s, c.call(ctx, "GET", "stats", nil, &s, nil)
}

// Stop ends a bottle. One that is not there is a success.
func (c *Client) Stop(ctx context.Context, ref string, r api.StopRequest) error {
	return c.call(ctx, "POST", "bottles/"+url.PathEscape(ref)+"/stop", r, nil, nil)
}

// call does one exchange. Descriptors get a connection of their own, and go with
// its first byte.
func (c *Client) call(ctx context.Context, method, path string, request, answer any, files []*os.File) error {
	var body io.Reader
	if request != nil {
		data, err := json.Marshal(request)
		if err != nil {
			return fmt.Errorf("request: %w", err)
		}
		if len(data) > api.MaxBody { // the daemon would not read on, and could not say why
			return fmt.Errorf("what the daemon is to be told has %d bytes, and it takes %d: put some of the manifest, the arguments or the variables into files", len(data), api.MaxBody)
		}
		body = bytes.NewReader(data)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://bottled/"+api.Version+"/"+path, body)
	if err != nil {
		return err
	}
	client := c.http
	if len(files) > 0 {
		r.Header.Set(api.FDHeader, strconv.Itoa(len(files)))
		client = &http.Client{Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				uc, err := c.dial(ctx)
				if err != nil {
					return nil, err
				}
				return &rightsConn{UnixConn: uc, files: files}, nil
			},
		}}
	}
	w, err := client.Do(r)
	if err != nil {
		return unwrap(err)
	}
	defer w.Body.Close()
	if w.StatusCode != http.StatusOK {
		return refusal(w)
	}
	data, err := io.ReadAll(io.LimitReader(w.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("the daemon's answer did not arrive whole: %w", err)
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(data, answer); err != nil {
		return fmt.Errorf("the daemon's answer makes no sense to this program (are they the same version?): %w", err)
	}
	return nil
}

// refusal reads an answer that is not a success.
func refusal(w *http.Response) error {
	var e api.Error
	data, err := io.ReadAll(io.LimitReader(w.Body, maxAnswer))
	if err != nil || json.Unmarshal(data, &e) != nil || e.Message == "" {
		e = api.Error{Code: "internal", Message: fmt.Sprintf("the daemon answered %s without saying why", w.Status)}
	}
	return &Error{w.StatusCode, e.Code, e.Message, e.RequestID}
}

// unwrap takes the method and the made-up URL out of an error of net/http.
func unwrap(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(err, ErrNoDaemon) || errors.Is(err, ErrNoAccess) || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrLost, err)
}

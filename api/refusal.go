package api

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"bottled/bottle"
)

// A refusal is an answer that is not a success.
type refusal struct {
	status  int
	code    string
	message string
}

func (r refusal) Error() string { return r.message }

// invalidf is for a request that is wrong.
func invalidf(format string, args ...any) error {
	return refusal{http.StatusBadRequest, "invalid", fmt.Sprintf(format, args...)}
}

var errTooLarge = refusal{http.StatusRequestEntityTooLarge, "invalid", fmt.Sprintf("the body is larger than %d bytes", MaxBody)}

// kinds are looked through in order; what is none of them is internal.
var kinds = []struct {
	err    error
	status int
	code   string
}{
	{bottle.ErrNoCommand, http.StatusUnprocessableEntity, CodeNoCommand},
	{bottle.ErrNotExecutable, http.StatusUnprocessableEntity, CodeNotExecutable},
	{bottle.ErrInvalid, http.StatusBadRequest, "invalid"},
	{bottle.ErrNotFound, http.StatusNotFound, "not-found"},
	{bottle.ErrConflict, http.StatusConflict, "conflict"},
	{bottle.ErrForbidden, http.StatusForbidden, "forbidden"},
	{bottle.ErrUnavailable, http.StatusServiceUnavailable, "unavailable"},
}

// refusalOf turns any error into an answer. ref is what the request named.
func refusalOf(err error, ref string) refusal {
	var r refusal
	if errors.As(err, &r) {
		return r
	}
	for _, k := range kinds {
		if !errors.Is(err, k.err) {
			continue
		}
		if k.err == bottle.ErrNotFound {
			// One text for what is not there and what is somebody else's.
			return refusal{k.status, k.code, fmt.Sprintf("no bottle or command %q; `bottled ls` shows what there is", ref)}
		}
		if k.status == http.StatusUnprocessableEntity { // the name of the kind says what is wrong
			return refusal{k.status, k.code, err.Error()}
		}
		return refusal{k.status, k.code, plain(err)}
	}
	return refusal{http.StatusInternalServerError, "internal", err.Error()}
}

// plain is the text of err without the name of its kind, which is in the code.
func plain(err error) string {
	text := err.Error()
	for _, k := range kinds {
		text = strings.TrimPrefix(text, k.err.Error()+": ")
	}
	return text
}

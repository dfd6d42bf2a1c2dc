package proposal

import (
	"bytes"
	"encoding/json"
	"errors"
)

// errNotCanonical is the answer to all that encoding would have written in
// another way: keys that are unknown, repeated, in another case or order, white
// space, text that is not fit to be shown, names and digests that do not belong
// to the content.
var errNotCanonical = errors.New("proposal: the JSON is not in canonical form")

// canonical reports whether text is what encoding v gives.
func canonical(text []byte, v any) error {
	want, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if !bytes.Equal(text, want) {
		return errNotCanonical
	}
	return nil
}

package secret_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"bottled/attack"
)

// TestAttackPrinting prints a value in the ways that a log, an error, a panic or a debug dump
// does. The control is the same value as a string.
func TestAttackPrinting(t *testing.T) {
	type state struct {
		name string
		tok  any // unexported: printers reach it without calling a method
	}
	for name, print := range map[string]func(tok any) string{
		"access log": func(tok any) string { return fmt.Sprintf("GET /?key=%s", tok) },
		"debug dump": func(tok any) string { return fmt.Sprintf("%+v %#v", state{"s", tok}, &state{"s", tok}) },
		"502 body":   func(tok any) string { return fmt.Errorf("upstream refused %v: %w", tok, errors.New("EOF")).Error() },
		"panic":      func(tok any) (s string) { defer func() { s = fmt.Sprint(recover()) }(); panic(tok) },
		"state file": func(tok any) string {
			b, err := json.Marshal(map[string]any{"token": tok})
			return fmt.Sprint(string(b), err)
		},
		"structured log": func(tok any) string {
			var b bytes.Buffer
			slog.New(slog.NewJSONHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug})).Debug("m", "t", tok)
			return b.String()
		},
		"metrics label":    func(tok any) string { return fmt.Sprint(tok) },
		"hexadecimal dump": func(tok any) string { return fmt.Sprintf("%x % X", tok, tok) },
	} {
		probe := func(tok any) attack.Probe {
			return func(*testing.T) error {
				if out := print(tok); !leaked(out) {
					return fmt.Errorf("printed %.60s", out)
				}
				return nil
			}
		}
		attack.Stopped(t, "C12", "token in a "+name, probe(canary), probe(token(t)))
	}
}

package frame

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"bottled/attack"
	"bottled/proxy/scrub"
)

// build makes one frame. mask is nil for a server's.
func build(first byte, mask []byte, payload []byte) []byte {
	out := []byte{first, 0}
	switch n := len(payload); {
	case n < 126:
		out[1] = byte(n)
	case n < 1<<16:
		out[1] = 126
		out = binary.BigEndian.AppendUint16(out, uint16(n))
	default:
		out[1] = 127
		out = binary.BigEndian.AppendUint64(out, uint64(n))
	}
	if mask == nil {
		return append(out, payload...)
	}
	out[1] |= 0x80
	out = append(out, mask...)
	for i, c := range payload {
		out = append(out, c^mask[i%4])
	}
	return out
}

var key = []byte{0xa1, 0x02, 0x73, 0x4c}

func TestRelaysUnchanged(t *testing.T) {
	var in bytes.Buffer
	for _, n := range []int{0, 1, 125, 126, 1 << 16, 200000} {
		in.Write(build(0x82, key, bytes.Repeat([]byte("x"), n)))
	}
	in.Write(build(0x01, key, []byte("frag")))
	in.Write(build(0x89, key, []byte("ping")))
	in.Write(build(0x80, key, []byte("ment")))
	in.Write(build(0x88, key, []byte{3, 0xe8}))
	want := bytes.Clone(in.Bytes())
	var seen bytes.Buffer
	var out bytes.Buffer
	r := Relay{FromClient: true, Inspect: func(op Opcode, last bool, p []byte) error {
		if len(p) < 200 {
			fmt.Fprintf(&seen, "%x %v %s|", op, last, p)
		}
		return nil
	}}
	n, err := r.Copy(&out, iotest.OneByteReader(&in))
	if err != nil || n != int64(len(want)) || !bytes.Equal(out.Bytes(), want) {
		t.Fatalf("%d bytes of %d, %v", n, len(want), err)
	}
	if !strings.Contains(seen.String(), "1 false frag|9 true ping|1 true ment|") {
		t.Errorf("inspector saw %q", seen.String())
	}
}

func TestAttackFrames(t *testing.T) {
	long := append([]byte{0x82, 0xff}, 0x80, 0, 0, 0, 0, 0, 0, 0)
	for name, wire := range map[string][]byte{
		"length 2^63":                  append(long, key...),
		"length not shortest":          append([]byte{0x82, 0xfe, 0, 5}, key...),
		"unmasked client frame":        build(0x81, nil, []byte("hello")),
		"control frame over 125":       build(0x89, key, make([]byte, 126)),
		"fragmented control frame":     build(0x09, key, nil),
		"continuation without a start": build(0x80, key, []byte("x")),
		"message inside a message":     append(build(0x01, key, []byte("a")), build(0x81, key, []byte("b"))...),
		"RSV bits without extension":   build(0xf1, key, []byte("x")),
		"compressed without extension": build(0xc1, key, []byte("x")),
		"unknown opcode":               build(0x83, key, []byte("x")),
		"unknown control opcode":       build(0x8b, key, []byte("x")),
		"half a close code":            build(0x88, key, []byte{3}),
		"close code 1005":              build(0x88, key, []byte{3, 0xed}),
		"over the bound":               build(0x82, key, make([]byte, 5000)),
	} {
		attack.Stopped(t, "W06", name,
			func(t *testing.T) error { // a splice without a parser
				var out bytes.Buffer
				io.Copy(&out, bytes.NewReader(wire))
				if !bytes.Equal(out.Bytes(), wire) {
					return errors.New("not copied")
				}
				return nil
			},
			func(t *testing.T) error {
				var out bytes.Buffer
				r := Relay{FromClient: true, MaxFrame: 4096}
				_, err := r.Copy(&out, bytes.NewReader(wire))
				if err == nil || bytes.HasSuffix(out.Bytes(), wire) {
					return nil
				}
				var rule *Error
				if !errors.As(err, &rule) || rule.Code != Protocol && rule.Code != TooBig {
					t.Errorf("%v", err)
				}
				return err
			})
	}
}

const secretText = "ghp_16C7e42F292c6912E7710c838"

func TestAttackCanaryInFrames(t *testing.T) {
	half := len(secretText) / 2
	var single []byte
	for i := range len(secretText) {
		op := byte(0)
		if i == 0 {
			op = 1
		}
		single = append(single, build(op, key, []byte{secretText[i]})...)
	}
	for name, wire := range map[string][]byte{
		"masked text":     build(0x81, key, []byte(secretText)),
		"binary":          build(0x82, key, []byte(secretText)),
		"two fragments":   append(build(0x01, key, []byte(secretText[:half])), build(0x80, key, []byte(secretText[half:]))...),
		"one byte each":   append(single, build(0x80, key, nil)...),
		"ping":            build(0x89, key, []byte(secretText)),
		"pong":            build(0x8a, key, []byte(secretText)),
		"close reason":    build(0x88, key, append([]byte{3, 0xe8}, secretText...)),
		"ping in between": append(append(build(0x01, key, []byte(secretText[:half])), build(0x89, key, []byte("x"))...), build(0x80, key, []byte(secretText[half:]))...),
	} {
		attack.Stopped(t, "W04", name,
			func(t *testing.T) error { return leaks(wire, &Relay{FromClient: true}) },
			func(t *testing.T) error {
				var text, control []byte
				return leaks(wire, &Relay{FromClient: true, Inspect: func(op Opcode, _ bool, p []byte) error {
					seen := &text
					if op.control() {
						seen = &control
					}
					if *seen = append(*seen, p...); bytes.Contains(*seen, []byte(secretText)) {
						return errors.New("canary")
					}
					return nil
				}})
			})
	}
}

// leaks returns nil when all of wire got through r.
func leaks(wire []byte, r *Relay) error {
	var out bytes.Buffer
	if _, err := r.Copy(&out, bytes.NewReader(wire)); err != nil {
		return err
	}
	if !bytes.Equal(out.Bytes(), wire) {
		return errors.New("changed")
	}
	return nil
}

// The injected secret is masked however a server cuts its frames, with nothing
// else changed.
func TestMasksAcrossFrames(t *testing.T) {
	message := "echo: " + secretText + " end"
	set := scrub.New(secretText)
	masked := strings.Replace(message, secretText, strings.Repeat("*", len(secretText)), 1)
	for cut := range len(message) {
		for _, ping := range []bool{false, true} {
			make := func(text string) []byte {
				wire := build(0x01, nil, []byte(text[:cut]))
				if ping {
					wire = append(wire, build(0x89, nil, []byte("ping"))...)
				}
				return append(wire, build(0x80, nil, []byte(text[cut:]))...)
			}
			var out bytes.Buffer
			r := Relay{Secrets: set}
			if _, err := r.Copy(&out, bufio.NewReader(iotest.OneByteReader(bytes.NewReader(make(message))))); err != nil {
				t.Fatal(err)
			}
			if want := make(masked); !bytes.Equal(out.Bytes(), want) || r.Found() != 1 {
				t.Fatalf("cut %d: %q, want %q", cut, out.Bytes(), want)
			}
		}
	}
}

// A server's control frames are masked as well: a close may give the credential that
// it did not like as the reason.
func TestAttackSecretInControlFrames(t *testing.T) {
	for _, first := range []byte{0x88, 0x89, 0x8a} { // close, ping, pong
		wire := build(first, nil, []byte("\x03\xe8bad token "+secretText))
		attack.Stopped(t, "C01", fmt.Sprintf("control frame %#x", first),
			func(*testing.T) error { return leaks(wire, &Relay{}) },
			func(*testing.T) error { return leaks(wire, &Relay{Secrets: scrub.New(secretText)}) })
		var out bytes.Buffer
		r := Relay{Secrets: scrub.New(secretText)}
		if _, err := r.Copy(&out, bytes.NewReader(wire)); err != nil || bytes.Contains(out.Bytes(), []byte(secretText)) || out.Len() != len(wire) || r.Found() != 1 {
			t.Errorf("%#x: %q, found %d, %v", first, out.Bytes(), r.Found(), err)
		}
	}
}

func FuzzRelay(f *testing.F) {
	f.Add(build(0x81, key, []byte("hello")))
	f.Add(append(build(0x01, key, []byte("a")), build(0x80, key, []byte("b"))...))
	f.Fuzz(func(t *testing.T, wire []byte) {
		var out bytes.Buffer
		r := Relay{FromClient: true, MaxFrame: 1 << 20, Secrets: scrub.New(secretText)}
		n, err := r.Copy(&out, bytes.NewReader(wire))
		if n != int64(out.Len()) || out.Len() > len(wire) || err == nil && out.Len() != len(wire) {
			t.Fatalf("%d bytes of %d, %v", out.Len(), len(wire), err)
		}
	})
}

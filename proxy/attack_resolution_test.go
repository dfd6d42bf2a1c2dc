package proxy_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"bottled/attack"
	"bottled/dlp"
	"bottled/routes"
)

// An allowed name has an address that is somebody else's: one of the host's or of the
// bottle's own, which would be a loop, or one in a range that only looks public.
func TestAttackResolvedAddresses(t *testing.T) {
	w := newWorld(t, bareAPI)
	s := w.sink(443, lastReply, "api.example.com")
	resolvesTo := func(addrs ...string) error {
		w.mu.Lock()
		w.resolve["api.example.com"] = nil
		for _, a := range addrs {
			w.resolve["api.example.com"] = append(w.resolve["api.example.com"], netip.MustParseAddr(a))
		}
		w.dialled = nil
		w.mu.Unlock()
		reply := raw(t, w.tls("api.example.com", 443, "http/1.1"), head+"Connection: close\r\n\r\n")
		for _, d := range w.dials() {
			if d.Addr() != public {
				return nil
			}
		}
		line, _, _ := strings.Cut(reply, "\r\n")
		if len(addrs) > 1 && !strings.HasPrefix(line, "HTTP/1.1 200") {
			t.Errorf("the address that is public was not dialled: %q", reply)
		}
		return errors.New(line)
	}
	open := func(t *testing.T) error { // to another public address
		before := len(s.text())
		err := resolvesTo("93.184.215.99")
		if !strings.Contains(s.text()[before:], head) {
			t.Error("nothing reached the upstream")
		}
		return err
	}
	for id, addrs := range map[string][]string{
		"H36": {"192.0.2.77" /* the host's */, "100.64.0.2" /* the bottle's */, "100.64.0.1" /* its listener's */, "127.0.0.1", "::1", "198.18.0.1" /* the enforcer's name */},
		"D15": {"::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::a00:1", "64:ff9b:1:fffe::1", "2002:a9fe:a9fe::1", "2001::1", "2001:10::1", "fec0::1",
			"100.127.255.254", "0.0.0.0", "0.1.2.3", "198.19.255.254", "240.0.0.1", "255.255.255.255", "224.0.0.1", "ff05::2", "::", "fe80::1", "::5efe:127.0.0.1",
			"fe80::5efe:a00:1", "::ffff:0:127.0.0.1", "192.0.0.170", "2001:db8::1", "5f00::1", "fd00::1", "169.254.169.254", "fd00:ec2::254"},
	} {
		for _, a := range addrs {
			attack.Stopped(t, id, "the allowed name has "+a, open, func(*testing.T) error { return resolvesTo(a) })
		}
		attack.Stopped(t, id, "it stands before a public address", open, func(*testing.T) error { return resolvesTo(addrs[0], public.String()) })
	}
}

// A route for every name below one: what the labels carry is scanned before the name is
// looked up, and a name that went out is in the record.
func TestAttackLabels(t *testing.T) {
	for name, label := range map[string]string{
		"plain":            strings.ToLower(canary),
		"hexadecimal":      hex.EncodeToString([]byte(canary)),
		"over two labels":  strings.ToLower(canary[:12]) + "." + strings.ToLower(canary[12:]),
		"among other text": "x-" + strings.ToLower(canary) + "-y",
	} {
		asked := func(options ...option) attack.Probe {
			return func(t *testing.T) error {
				w := newWorld(t, anyHost, options...)
				w.sink(443, lastReply, "*.example.com", "*."+label[strings.LastIndexByte(label, '.')+1:]+".example.com")
				host := label + ".example.com"
				resp, err := w.client(false).Get("https://" + host + "/")
				if err != nil {
					return err
				}
				resp.Body.Close()
				w.mu.Lock()
				defer w.mu.Unlock()
				if slices.Contains(w.asked, host+".") {
					return nil
				}
				return fmt.Errorf("%s; the name was not looked up", resp.Status)
			}
		}
		attack.Stopped(t, "D07", "a secret in a label, "+name, asked(), asked(screened(routes.DLP{}, dlp.Limits{})))
	}
	w := newWorld(t, anyHost)
	w.sink(443, lastReply, "*.example.com")
	recorded := func(host string) bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, e := range w.events {
			if e.Authority == host {
				return true
			}
		}
		return false
	}
	attack.Stopped(t, "D07", "labels of noise that nobody hears of",
		func(*testing.T) error { // a name that was never asked for is in no record
			if recorded("never.example.com") {
				return errors.New("recorded")
			}
			return nil
		},
		func(t *testing.T) error {
			for i := range 30 {
				host := fmt.Sprintf("%060d.example.com", i)
				resp, err := w.client(false).Get("https://" + host + "/")
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if !recorded(host) {
					return nil
				}
			}
			return fmt.Errorf("%d names, each in the record", 30)
		})
}

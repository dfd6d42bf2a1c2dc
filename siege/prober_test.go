package siege

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// proberReport is what a prober has come to so far.
type proberReport struct {
	Rounds  int    `json:"rounds"`
	Allowed int    `json:"allowed"` // requests to the allowed host that were answered by it
	Reached int    `json:"reached"` // attempts at the target of which the agent saw success
	Last    string `json:"last"`    // how the last attempt at the target ended
}

var prober struct {
	sync.Mutex
	proberReport
}

// startProber tries, for as long as the process lives, to reach the allowed host and
// the target: by name over TLS and in the clear, by address over TCP and UDP.
func startProber(o order) answerOf {
	for name, try := range map[string]func() error{
		"https": func() error { return trial(fetch(shared(), order{URL: "https://" + o.Target.Host + "/"})) },
		"http":  func() error { return trial(fetch(shared(), order{URL: "http://" + o.Target.Host + "/"})) },
		"tcp":   func() error { return send("tcp", netip.AddrPortFrom(o.Target.Addr4, canaryPort)) },
		"tcp6":  func() error { return send("tcp", netip.AddrPortFrom(o.Target.Addr6, canaryPort)) },
		"udp":   func() error { return send("udp", netip.AddrPortFrom(o.Target.Addr4, 443)) },
		"udp6":  func() error { return send("udp", netip.AddrPortFrom(o.Target.Addr6, 443)) },
		"dns":   func() error { return send("udp", netip.AddrPortFrom(o.Target.Addr4, 53)) },
	} {
		go func() {
			for {
				err := try()
				prober.Lock()
				prober.Rounds++
				if err == nil && strings.HasPrefix(name, "http") {
					prober.Reached++
				}
				if err != nil {
					prober.Last = name + ": " + err.Error()
				}
				prober.Unlock()
				time.Sleep(10 * time.Millisecond) // leaves the machine to others
			}
		}()
	}
	go func() {
		for {
			a := fetch(shared(), order{URL: o.URL})
			prober.Lock()
			if a.Status == 200 && strings.Contains(a.Body, allowedHost) {
				prober.Allowed++
			}
			prober.Unlock()
			time.Sleep(10 * time.Millisecond)
		}
	}()
	return answerOf{}
}

func trial(a answerOf) error {
	if a.Error != "" {
		return errors.New(a.Error)
	}
	return nil
}

// send opens a connection and sends a canary.
func send(network string, to netip.AddrPort) error {
	conn, err := net.DialTimeout(network, to.String(), time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write([]byte("canary"))
	return err
}

func reportProber(order) answerOf {
	prober.Lock()
	defer prober.Unlock()
	return answerOf{Prober: prober.proberReport}
}

// probe starts the prober of an agent against a target.
func (a *agent) probe(t testing.TB, tg target) {
	t.Helper()
	a.must(t, order{Op: "prober", Target: tg, URL: "https://" + allowedHost + "/"})
}

// rounds waits until the prober has made n more attempts.
func (a *agent) rounds(t testing.TB, n int) proberReport {
	t.Helper()
	from := a.must(t, order{Op: "report"}).Prober
	now := from
	eventually(t, fmt.Sprintf("%d more rounds of the prober in %s", n, a.name), time.Minute, func() bool {
		now = a.must(t, order{Op: "report"}).Prober
		return now.Rounds >= from.Rounds+n
	})
	return now
}

// allowed waits until the prober has got through to the allowed host n more times.
func (a *agent) allowed(t testing.TB, n int) {
	t.Helper()
	from := a.must(t, order{Op: "report"}).Prober.Allowed
	eventually(t, "the allowed host is reached from "+a.name, time.Minute, func() bool {
		return a.must(t, order{Op: "report"}).Prober.Allowed >= from+n
	})
}

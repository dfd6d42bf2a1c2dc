package scenario

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// TestEventsArriveAsTheyAreSent sends each event only when the one before has come
// out of the bottle: whoever holds one back stops the test.
func TestEventsArriveAsTheyAreSent(t *testing.T) {
	const events = 5
	for _, version := range []string{"--http1.1", "--http2"} {
		t.Run(version, func(t *testing.T) {
			w := newWorld(t)
			arrived, sent := make(chan int, events), make(chan time.Time, events)
			w.https(t, "events.example.com", func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				for i := range events {
					sent <- time.Now()
					fmt.Fprintf(w, "data: %d\n\n", i)
					w.(http.Flusher).Flush()
					select {
					case <-arrived:
					case <-r.Context().Done():
						return
					}
				}
			})
			b := bottle{manifest: w.only("events.example.com")}
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			cmd := exec.CommandContext(ctx, program("bottled"), b.args(t, "curl", "-sSN", version, "https://events.example.com/")...)
			cmd.Env = append(os.Environ(), "BOTTLED_SOCKET="+w.socket)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var seen int
			var slowest time.Duration
			for lines := bufio.NewScanner(out); lines.Scan(); {
				if lines.Text() == fmt.Sprintf("data: %d", seen) {
					slowest = max(slowest, time.Since(<-sent))
					arrived <- seen
					seen++
				}
			}
			if err := cmd.Wait(); err != nil || seen != events {
				t.Errorf("%d of %d events: %v", seen, events, err)
			}
			t.Logf("the slowest of %d events took %v from the upstream's write to the caller's read", seen, slowest)
		})
	}
}

// TestBothDirectionsAtOnce is gRPC's way: one stream, messages both ways, trailers.
func TestBothDirectionsAtOnce(t *testing.T) {
	w := newWorld(t)
	up := w.https(t, "grpc.example.com", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status, Grpc-Message")
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		for lines := bufio.NewScanner(r.Body); lines.Scan(); {
			fmt.Fprintln(w, lines.Text())
			w.(http.Flusher).Flush()
		}
		w.Header().Set("Grpc-Status", "0")
		w.Header().Set("Grpc-Message", "well done")
	})
	b := bottle{manifest: w.only("grpc.example.com"), dir: workDir(t, map[string]string{"goclient": goclient(t)})}
	r := w.run(t, b, "./goclient", "echo", "https://grpc.example.com/pkg.Service/Method")
	if !r.ok("back: message 4\n") || !strings.Contains(r.stdout, "trailer: 0 well done") {
		t.Errorf("%v", r)
	}
	if reqs := up.Requests(); len(reqs) != 1 || reqs[0].Proto != "HTTP/2.0" || reqs[0].Header.Get("Te") != "trailers" {
		t.Errorf("the upstream got %+v", reqs)
	}
}

const webSocketEcho = `
const ws = new WebSocket("wss://ws.example.com/chat"); let n = 0
ws.onopen = () => ws.send("message 0")
ws.onmessage = e => { console.log(e.data); if (++n < 5) ws.send("message " + n); else ws.close(1000, "done") }
ws.onclose = e => { console.log("closed", e.code); Deno.exit(0) }
ws.onerror = e => { console.log(e.message); Deno.exit(1) }
`

func TestWebSocket(t *testing.T) {
	c := toolchains{}.packages(t, "requests", "uv", "deno")
	w := newWorld(t, c.wrap()...)
	w.https(t, "ws.example.com", func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{OriginPatterns: []string{"*"}})
		if err != nil {
			return
		}
		defer conn.CloseNow()
		for {
			kind, data, err := conn.Read(r.Context())
			if err != nil || conn.Write(r.Context(), kind, append([]byte("echo of "), data...)) != nil {
				return
			}
		}
	})
	run := func(manifest string) result {
		b := bottle{manifest: manifest, flags: c.flags(), dir: workDir(t, map[string]string{"ws.js": webSocketEcho})}
		return w.run(t, b, "deno", "run", "--allow-net", "ws.js")
	}
	if r := run(w.only("ws.example.com")); !r.ok("echo of message 4\nclosed 1000") {
		t.Errorf("%v", r)
	}
	if r := run(w.only("other.example.com")); strings.Contains(r.stdout, "echo") {
		t.Errorf("without the route: %v", r)
	}
}

// What goes through. What leaves is scanned, which takes time and must take no memory
// either.
const (
	half    = 512 << 20
	quarter = half / 2
)

// grown bounds how much more memory the enforcer may have held at any time, in KiB,
// than after a small transfer.
const grown = 64 << 10

func TestABigTransferTakesNoMemory(t *testing.T) {
	w := newWorld(t)
	w.https(t, "big.example.com", func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			n, _ := strconv.ParseInt(r.URL.Query().Get("n"), 10, 64)
			_, _ = io.Copy(w, io.LimitReader(zeros{}, n))
			return
		}
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprintln(w, n, err)
	})
	for version, size := range map[string]int{"--http1.1": half, "--http2": quarter} {
		t.Run(version, func(t *testing.T) {
			get := func(n int) string {
				return fmt.Sprintf("curl -sS %s 'https://big.example.com/?n=%d' | wc -c; ", version, n)
			}
			put := func(n int) string {
				return fmt.Sprintf("head -c %d /dev/zero | curl -sS %s -T - https://big.example.com/; ", n, version)
			}
			b := bottle{manifest: w.only("big.example.com"), dir: workDir(t, nil)}
			// The bottle says when it has done the small ones, and waits to be told to go on.
			cmd := exec.CommandContext(t.Context(), program("bottled"), b.args(t, "sh", "-c",
				get(1<<20)+put(1<<20)+"echo small; read go; "+get(size)+put(size)+"echo big; read go")...)
			cmd.Env = append(os.Environ(), "BOTTLED_SOCKET="+w.socket)
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out := new(lines)
			cmd.Stdout, cmd.Stderr = out, out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			at := func(what string) int {
				eventually(t, what+" transfers", 3*time.Minute, func() error {
					if !strings.Contains(out.String(), what) {
						return fmt.Errorf("%s", out)
					}
					return nil
				})
				peak := highWater(t, w.list(t)[0].WorkerPID)
				fmt.Fprintln(in)
				return peak
			}
			small := at("small")
			began := time.Now()
			big := at("big")
			took := time.Since(began)
			if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), fmt.Sprintf("%d\n%d <nil>", size, size)) {
				t.Errorf("%v: %s", err, out)
			}
			t.Logf("%d MiB down and as many up in %v; the enforcer's memory peaked at %d KiB, %d KiB after 1 MiB each", size>>20, took, big, small)
			if big-small > grown {
				t.Errorf("the enforcer's memory grew by %d KiB", big-small)
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// highWater is the peak resident set of a process, in KiB (proc_pid_status(5)).
func highWater(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	n, err := strconv.Atoi(strings.Fields(rest + " 0")[0])
	if err != nil || n == 0 {
		t.Fatalf("no VmHWM: %v", err)
	}
	return n
}

package proxy_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"bottled/attack"
)

// What RFC 6455 forbids ends the connection with the code of section 7.4.1, and
// nothing of the frame arrives, whichever end sent it.
func TestAttackWebSocketFrames(t *testing.T) {
	rows := []struct {
		name  string
		good  []piece // comes first, and arrives
		bad   []piece
		other bool // masked as the other end would
	}{
		{name: "RSV1 without an extension", bad: []piece{{0xc1, []byte("x")}}},
		{name: "RSV2 without an extension", bad: []piece{{0xa1, []byte("x")}}},
		{name: "RSV3 without an extension", bad: []piece{{0x91, []byte("x")}}},
		{name: "RSV1 on a ping", bad: []piece{{0xc9, nil}}},
		{name: "ping of 126 bytes", bad: []piece{{0x89, make([]byte, 126)}}},
		{name: "close of 126 bytes", bad: []piece{{0x88, closing(1000, string(make([]byte, 124)))}}},
		{name: "fragmented ping", bad: []piece{{0x09, []byte("pi")}, {0x80, []byte("ng")}}},
		{name: "fragmented close", bad: []piece{{0x08, closing(1000, "")}, {0x80, nil}}},
		{name: "continuation of nothing", bad: []piece{{0x80, []byte("x")}}},
		{name: "continuation after a message", good: []piece{{0x01, []byte("a")}, {0x80, []byte("b")}}, bad: []piece{{0x00, []byte("c")}}},
		{name: "text inside a text", good: []piece{{0x01, []byte("a")}}, bad: []piece{{0x81, []byte("b")}}},
		{name: "binary fragment inside a text", good: []piece{{0x01, []byte("a")}, {0x89, nil}}, bad: []piece{{0x02, []byte("b")}}},
		{name: "mask missing or out of place", bad: []piece{{0x81, []byte("hello")}}, other: true},
		{name: "close payload of one byte", bad: []piece{{0x88, []byte{3}}}},
	}
	for _, op := range []byte{3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf} {
		row := rows[0]
		row.name, row.bad = fmt.Sprintf("reserved opcode %#x", op), []piece{{0x80 | op, []byte("x")}}
		rows = append(rows, row)
	}
	for _, code := range []uint16{0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535} {
		row := rows[0]
		row.name, row.bad = fmt.Sprintf("close code %d", code), []piece{{0x88, closing(code, "why")}}
		rows = append(rows, row)
	}
	ways := legs(t)
	through, straight := ways[:len(ways)-1], ways[len(ways)-1]
	for _, row := range rows {
		for _, server := range []bool{false, true} {
			name := row.name + " of the client"
			if server {
				name = row.name + " of the server"
			}
			attempt := func(t *testing.T, l *leg) (client, from, to *end, wire []byte) {
				client, up := l.open(t)
				from, to = client, up
				if server {
					from, to = up, client
				}
				if err := carried(from, to, from.frames(row.good...)); err != nil {
					t.Fatalf("%s: before the bad frame: %v", l.name, err)
				}
				if wire = from.frames(row.bad...); row.other {
					wire = to.frames(row.bad...)
				}
				return client, from, to, wire
			}
			attack.Stopped(t, "W06", name,
				func(t *testing.T) error {
					_, from, to, wire := attempt(t, straight)
					return carried(from, to, wire)
				},
				func(t *testing.T) error {
					for _, l := range through {
						client, from, to, wire := attempt(t, l)
						if err := refusedFrames(client, from, to, wire, 1002); err != nil {
							t.Logf("%s: %v", l.name, err)
							return nil
						}
					}
					return errors.New("closed with 1002")
				})
		}
	}
	attack.Stopped(t, "W06", "frame over the bound",
		func(t *testing.T) error {
			client, up := straight.open(t)
			return carried(client, up, overBound)
		},
		func(t *testing.T) error {
			for _, l := range through {
				client, up := l.open(t)
				if err := refusedFrames(client, client, up, overBound, 1009); err != nil {
					t.Logf("%s: %v", l.name, err)
					return nil
				}
			}
			return errors.New("closed with 1009")
		})
}

// overBound begins a client's frame of 64 MiB and a byte.
var overBound = append(binary.BigEndian.AppendUint64([]byte{0x82, 0xff}, 64<<20+1), "k3y!and so on"...)

// refusedFrames sends wire and returns nil when the client is told code, nothing else
// comes at either end, and both connections end.
func refusedFrames(client, from, to *end, wire []byte, code uint16) error {
	if _, err := from.Write(wire); err != nil {
		return err
	}
	told, err := io.ReadAll(client.in)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.New("the client's connection stays open")
	}
	if want := append([]byte{0x88, 2}, closing(code, "")...); !bytes.Equal(told, want) {
		return fmt.Errorf("the client got %q, want %q", told, want)
	}
	if to == client {
		to = from
	}
	got, err := io.ReadAll(to.in)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.New("the upstream's connection stays open")
	}
	if len(got) > 0 {
		return fmt.Errorf("%q reached the upstream", got)
	}
	return nil
}

// A client that reads nothing, and so keeps a frame of its upstream waiting, keeps
// nothing else waiting: when the route is gone nothing more leaves.
func TestAttackWebSocketThatReadsNothing(t *testing.T) {
	ways := legs(t)
	for _, l := range ways[:len(ways)-1] {
		client, up := l.open(t)
		var sent atomic.Int64
		flood := up.frames(piece{0x82, make([]byte, 32<<10)})
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				if _, err := up.Write(flood); err != nil {
					return
				}
				sent.Add(1)
			}
		}()
		for last := int64(-1); last != sent.Load(); time.Sleep(100 * time.Millisecond) {
			last = sent.Load()
		}
		frame := client.frames(piece{0x81, []byte("secret")})
		leaves := func(*testing.T) error {
			if _, err := client.Write(frame); err != nil {
				return err
			}
			_, err := io.ReadFull(up.in, make([]byte, len(frame)))
			return err
		}
		attack.Stopped(t, "W07", l.name+": WebSocket whose client does not read, after its route is gone", leaves, func(t *testing.T) error {
			l.world.server.Swap(l.world.table(`{"routes": []}`, 2))
			err := leaves(t)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: the upstream's connection is still open: %v", l.name, err)
			}
			return err
		})
		up.NetConn().Close()
		<-done
	}
}

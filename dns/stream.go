package dns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// ServeStream answers queries over TCP (RFC 7766) on the connections that ln
// accepts, until the server or ln is closed. A connection may hold one query
// after another, and send several before it reads; answers keep the order.
func (s *Server) ServeStream(ln net.Listener) error {
	release, ok := s.track(ln)
	if !ok {
		return nil
	}
	defer release()
	for {
		conn, err := ln.Accept()
		switch {
		case closed(err):
			return nil
		case errors.Is(err, syscall.ECONNABORTED):
			continue
		case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOMEM), errors.Is(err, syscall.ENOBUFS):
			select {
			case <-time.After(50 * time.Millisecond):
				continue
			case <-s.ctx.Done():
				return nil
			}
		case err != nil:
			return fmt.Errorf("dns: %w", err)
		}
		select {
		case s.streams <- struct{}{}:
			go func() {
				defer func() { <-s.streams }()
				s.serveStream(conn)
			}()
		default:
			conn.Close()
		}
	}
}

func (s *Server) serveStream(conn net.Conn) {
	release, ok := s.track(conn)
	if !ok {
		return
	}
	defer release()
	from, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return
	}
	server, err := netip.ParseAddrPort(conn.LocalAddr().String())
	if err != nil {
		return
	}
	buf := make([]byte, maxMessage)
	out := make([]byte, 2, 2+udpSize)
	for {
		if s.limit.Wait(s.ctx) != nil || conn.SetDeadline(time.Now().Add(StreamTimeout)) != nil {
			return
		}
		msg, err := readFrame(conn, buf)
		if err != nil {
			return
		}
		answer := s.respond(out[2:2], msg, from, server)
		if answer == nil {
			return
		}
		binary.BigEndian.PutUint16(out[:2], uint16(len(answer)))
		if _, err := conn.Write(out[:2+len(answer)]); err != nil {
			return
		}
	}
}

// readFrame reads one message with its length before it (RFC 1035, section 4.2.2).
func readFrame(r io.Reader, buf []byte) ([]byte, error) {
	if _, err := io.ReadFull(r, buf[:2]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(buf[:2]))
	if n > len(buf) {
		return nil, errFormat
	}
	_, err := io.ReadFull(r, buf[:n])
	return buf[:n], err
}

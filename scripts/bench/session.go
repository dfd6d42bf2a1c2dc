package main

import (
	"bufio"
	"errors"
	"fmt"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// session is a client's connection of HTTP/2, served by one goroutine.
type session struct {
	*client
	in   *bufio.Reader
	out  *bufio.Writer
	head []byte // of every request
	next uint32 // stream
	open int    // streams
	read uint32 // bytes of bodies since the connection's window was given back
}

// window is that of the connection and of each stream, in bytes.
const window = 1 << 30

func (s *session) run(framer *http2.Framer) error {
	framer.SetReuseFrames()
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	s.next, s.head = 1, block(":method", "GET", ":scheme", "https", ":authority", s.host, ":path", "/some/path?query=1",
		"user-agent", "bench/1", "accept", "*/*", "accept-encoding", "gzip")
	if _, err := s.out.WriteString(http2.ClientPreface); err != nil {
		return err
	}
	err := errors.Join(framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window}), framer.WriteWindowUpdate(0, window))
	for range connections {
		err = errors.Join(err, s.ask(framer))
	}
	for err == nil && s.open > 0 {
		if s.in.Buffered() == 0 {
			if err := s.out.Flush(); err != nil {
				return err
			}
		}
		var f http2.Frame
		if f, err = framer.ReadFrame(); err == nil {
			err = s.took(framer, f)
		}
	}
	return err
}

// ask sends a request, unless the time is over.
func (s *session) ask(framer *http2.Framer) error {
	if !time.Now().Before(s.until) {
		return nil
	}
	s.open++
	s.next += 2
	return framer.WriteHeaders(http2.HeadersFrameParam{StreamID: s.next - 2, BlockFragment: s.head, EndStream: true, EndHeaders: true})
}

func (s *session) took(framer *http2.Framer, f http2.Frame) error {
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			return framer.WriteSettingsAck()
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			return framer.WritePing(true, f.Data)
		}
	case *http2.MetaHeadersFrame:
		if status := f.PseudoValue("status"); status != "200" {
			return fmt.Errorf("answered %q", status)
		}
	case *http2.DataFrame:
		if s.read += f.Length; s.read > window/2 {
			if err := framer.WriteWindowUpdate(0, s.read); err != nil {
				return err
			}
			s.read = 0
		}
	case *http2.RSTStreamFrame, *http2.GoAwayFrame:
		return fmt.Errorf("the connection broke off: %v", f)
	}
	if f.Header().Flags.Has(http2.FlagDataEndStream) && (f.Header().Type == http2.FrameData || f.Header().Type == http2.FrameHeaders) {
		s.done.Add(1)
		s.open--
		return s.ask(framer)
	}
	return nil
}

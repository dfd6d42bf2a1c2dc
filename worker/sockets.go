package worker

import (
	"errors"
	"fmt"
	"net"
	"os"
)

// sockets are the handed-over descriptors as Go's net knows them.
type sockets struct {
	tcp     []net.Listener // transparent: a connection's local address is where its client wanted to go
	dns     []*net.UDPConn
	dnsTCP  []net.Listener
	control net.Listener
	flows   *os.File // nil where the hooks are not there
	roots   *os.File // the host's authorities
}

// open makes sockets of files and closes the files. A worker without a listener
// enforces nothing anyone could reach, which is a bug worth an error.
func open(files map[string][]*os.File) (*sockets, error) {
	s := &sockets{}
	for _, f := range files[FileTCP] {
		l, err := net.FileListener(f)
		if err != nil {
			return nil, fmt.Errorf("worker: transparent listener: %w", err)
		}
		s.tcp = append(s.tcp, l)
	}
	for _, f := range files[FileDNSTCP] {
		l, err := net.FileListener(f)
		if err != nil {
			return nil, fmt.Errorf("worker: DNS listener: %w", err)
		}
		s.dnsTCP = append(s.dnsTCP, l)
	}
	for _, f := range files[FileDNS] {
		c, err := net.FilePacketConn(f)
		if err != nil {
			return nil, fmt.Errorf("worker: DNS socket: %w", err)
		}
		udp, ok := c.(*net.UDPConn)
		if !ok {
			return nil, errors.New("worker: the handed-over DNS socket is not UDP")
		}
		s.dns = append(s.dns, udp)
	}
	if len(s.tcp) == 0 || len(s.dns) == 0 || len(files[FileControl]) != 1 {
		return nil, errors.New("worker: the handoff lacks a listener")
	}
	if len(files[FileRoots]) != 1 {
		return nil, errors.New("worker: the handoff lacks the host's authorities")
	}
	s.roots = files[FileRoots][0]
	var err error
	if s.control, err = net.FileListener(files[FileControl][0]); err != nil {
		return nil, fmt.Errorf("worker: control socket: %w", err)
	}
	if flows := files[FileFlows]; len(flows) > 0 {
		s.flows = flows[0]
	}
	for name, group := range files {
		if name == FileFlows || name == FileRoots {
			continue
		}
		for _, f := range group {
			f.Close()
		}
	}
	return s, nil
}

// Close closes every socket.
func (s *sockets) Close() {
	for _, l := range append(append([]net.Listener{s.control}, s.tcp...), s.dnsTCP...) {
		l.Close()
	}
	for _, c := range s.dns {
		c.Close()
	}
}

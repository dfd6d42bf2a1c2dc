package bottle

import (
	"maps"
	"strings"

	"bottled/launch"
	"bottled/trust"
)

// launchSpec is what is run, and in which surroundings.
func (s *start) launchSpec(layer trust.Layer) launch.Spec {
	files := map[string]launch.File{}
	for path, data := range layer.Files {
		files[path] = launch.File{Data: data}
	}
	for path, target := range layer.Links {
		files[path] = launch.File{Link: target}
	}
	maps.Copy(files, s.configuration())
	r := &s.record
	// A variable that the manifest sets is left as the manifest has it.
	r.Env = merge(layer.Env, r.Env)
	return launch.Spec{
		Hostname: hostname(r.Name),
		UID:      r.User.UID, GID: r.User.GID, User: s.plan.user, Home: r.Home,
		Dir: r.Dir, MapDir: s.plan.mapped,
		Argv: r.Command, Env: r.Env,
		Writable: s.plan.settings.Writable, Hidden: s.plan.settings.Hidden,
		Files: files, UserNamespaces: r.UserNamespaces, Terminal: r.Terminal,
	}
}

// configuration is what the bottle's programs read to find names, and to know the
// rules they live under.
func (s *start) configuration() map[string]launch.File {
	name := hostname(s.record.Name)
	hosts := "127.0.0.1 localhost\n::1 localhost ip6-localhost\n"
	for _, a := range s.net.Addresses() {
		hosts += a.String() + " " + name + "\n"
	}
	return map[string]launch.File{
		// Any address would do: port 53 is answered wherever it is.
		"/etc/resolv.conf":   {Data: []byte("nameserver " + resolverAddr + "\noptions ndots:1 timeout:2 attempts:2\n")},
		"/etc/nsswitch.conf": {Data: []byte(nsswitch)},
		"/etc/hosts":         {Data: []byte(hosts)},
		"/etc/hostname":      {Data: []byte(name + "\n")},
		"/etc/bottled/current-config/bottle.yaml": {Data: s.plan.manifest},
	}
}

// resolverAddr is the name server that programs are told of: an address of the
// benchmarking range (RFC 2544) that no name is given.
const resolverAddr = "198.18.0.53"

// nsswitch keeps name look-ups to files and DNS: no daemon of the host is asked.
const nsswitch = `passwd: files
group: files
shadow: files
gshadow: files
hosts: files dns
networks: files
protocols: files
services: files
ethers: files
rpc: files
netgroup: files
`

// hostname makes a host name of a bottle's name.
func hostname(name string) string { return strings.TrimRight(name, "-") }

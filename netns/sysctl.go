package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// sysctls are the settings of the namespace. /proc/sys/net shows the namespace of the
// thread that reads it. A setting that the kernel does not have is left out.
var sysctls = []struct{ key, value string }{
	// Programs may serve on port 80, as in other containers.
	{"net/ipv4/ip_unprivileged_port_start", "0"},
	// No ping sockets: group range is empty.
	{"net/ipv4/ping_group_range", "1\t0"},
	// Data in a SYN would reach a listener before accept.
	{"net/ipv4/tcp_fastopen", "0"},
	// Subflows pass no hook.
	{"net/mptcp/enabled", "0"},
	{"net/ipv4/ip_forward", "0"},
	// The kernel copies the following from the host's namespace (devconf_inherit_init_net);
	// strict checks would drop connections from addresses that are only reachable by lo.
	{"net/ipv4/conf/all/rp_filter", "0"},
	{"net/ipv4/conf/lo/rp_filter", "0"},
	{"net/ipv4/conf/all/route_localnet", "0"},
	{"net/ipv4/conf/lo/route_localnet", "0"},
	{"net/ipv4/conf/all/accept_redirects", "0"},
	{"net/ipv6/conf/all/disable_ipv6", "0"},
	{"net/ipv6/conf/lo/disable_ipv6", "0"},
	{"net/ipv6/conf/all/forwarding", "0"},
	{"net/ipv6/conf/default/accept_ra", "0"},
	{"net/ipv6/conf/default/accept_dad", "0"},
	{"net/ipv6/conf/default/autoconf", "0"},
	// No link-local address, so no neighbour or multicast traffic on further interfaces.
	{"net/ipv6/conf/default/addr_gen_mode", "1"},
}

const sysctlDir = "/proc/sys"

func wantSysctls(Plan) []string {
	var lines []string
	for _, s := range sysctls {
		if _, err := os.Stat(filepath.Join(sysctlDir, s.key)); err == nil {
			lines = append(lines, sysctlLine(s.key, s.value))
		}
	}
	return lines
}

func haveSysctls(*kernel) ([]string, error) {
	var lines []string
	for _, s := range sysctls {
		value, err := os.ReadFile(filepath.Join(sysctlDir, s.key))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		lines = append(lines, sysctlLine(s.key, strings.TrimSpace(string(value))))
	}
	return lines, nil
}

func fixSysctls(*kernel, Plan) error {
	for _, s := range sysctls {
		path := filepath.Join(sysctlDir, s.key)
		value, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) || strings.TrimSpace(string(value)) == s.value {
			continue
		}
		if err := os.WriteFile(path, []byte(s.value), 0); err != nil {
			return fmt.Errorf("%w: under systemd the service needs ProtectKernelTunables=no", err)
		}
	}
	return nil
}

func sysctlLine(key, value string) string {
	return strings.ReplaceAll(key, "/", ".") + " = " + strings.ReplaceAll(value, "\t", " ")
}

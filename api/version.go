package api

import (
	"os"
	"runtime"
	"runtime/debug"
)

// version is set by the release build (-ldflags "-X bottled/api.version=1.2.3").
var version string

// ThisVersion tells about the running program.
func ThisVersion() VersionInfo {
	v := version
	if v == "" {
		v = "devel"
		if info, ok := debug.ReadBuildInfo(); ok {
			for _, s := range info.Settings {
				if s.Key == "vcs.revision" {
					v = "devel-" + s.Value[:min(12, len(s.Value))]
				}
			}
		}
	}
	return VersionInfo{Version: v, API: Version, Go: runtime.Version(), PID: os.Getpid()}
}

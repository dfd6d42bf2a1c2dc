package api

import (
	"encoding/json"
	"time"
)

// Version prefixes every path of the API. A change that an old client could
// misread gets a new one.
const Version = "v1"

// DefaultSocket is where the daemon listens and clients look.
const DefaultSocket = "/run/bottled/bottled.sock"

// CreateRequest asks for a bottle: POST /v1/bottles.
//
// File descriptors for the command's standard streams may ride on the same
// sendmsg(2) as the first byte of the request (SCM_RIGHTS, [FDHeader] says how
// many): three pipes, or one Unix socket when Terminal is set. Without them the
// command reads and writes /dev/null.
type CreateRequest struct {
	// Name is how people refer to the bottle; [a-z0-9][a-z0-9-]{0,62}. Empty: one is made up.
	Name string `json:"name,omitempty"`
	// Manifest is the text of the manifest, YAML or JSON.
	Manifest string `json:"manifest"`
	// ManifestName is the file name to use in error messages.
	ManifestName string `json:"manifest_name,omitempty"`
	// Files holds what the paths in the manifest lead to (upstream_ca and
	// upstream_proxy.ca), by path as it is written there: the daemon opens none of them.
	Files map[string]string `json:"files,omitempty"`
	// Command is the program and its arguments, at least one.
	Command []string `json:"command"`
	// Dir is the absolute working directory, writable from inside.
	Dir string `json:"dir"`
	// Env is the whole environment of the command but for what the daemon adds ("KEY=value").
	Env []string `json:"env,omitempty"`
	// Tokens holds the value of every token_ref that names an environment variable.
	// One that names a secret of the operator has none here.
	Tokens map[string]string `json:"tokens,omitempty"`
	// Terminal asks for a terminal of the bottle's own.
	Terminal bool `json:"terminal,omitempty"`
	// Attached ties the bottle's life to its client's: it is stopped when nobody waits for it any more.
	Attached bool `json:"attached,omitempty"`
	// User is whom the command runs as. Only root may set it; it is never uid 0.
	User *User `json:"user,omitempty"`
}

// User is a numeric identity on the host.
type User struct {
	UID uint32 `json:"uid"`
	GID uint32 `json:"gid"`
}

// State is where a bottle is in its life.
type State string

// The states of a bottle, in order.
const (
	Creating State = "creating"
	Running  State = "running"
	Stopping State = "stopping"
	Exited   State = "exited"
)

// Bottle is what the API tells about a bottle. It holds no secret.
type Bottle struct {
	ID         string    `json:"id"`
	Name       string    `json:"name"`
	Owner      uint32    `json:"owner"` // uid of who created it
	User       User      `json:"user"`  // whom its processes run as
	State      State     `json:"state"`
	Command    []string  `json:"command"`
	Dir        string    `json:"dir"`
	Created    time.Time `json:"created"`
	Generation uint64    `json:"generation"` // of the route table in force
	Routes     int       `json:"routes"`
	PID        int       `json:"pid,omitempty"`        // init of the bottle, in the host's pid namespace
	WorkerPID  int       `json:"worker_pid,omitempty"` // its enforcer
	Cgroup     string    `json:"cgroup,omitempty"`
	NetNS      uint64    `json:"netns,omitempty"`   // inode of its network namespace
	Adopted    bool      `json:"adopted,omitempty"` // by a daemon that did not start it
	Exit       *Exit     `json:"exit,omitempty"`
}

// Exit is how a command ended.
type Exit struct {
	// Code is the exit status; 128+n where signal n ended the command.
	Code int `json:"code"`
	// Signal is the number of the signal that ended it, or 0.
	Signal int `json:"signal,omitempty"`
	// Reason says more where the command did not end by itself ("stopped", "worker died").
	Reason string `json:"reason,omitempty"`
}

// Inspection is everything about a bottle: GET /v1/bottles/{id}.
type Inspection struct {
	Bottle
	Manifest      string            `json:"manifest"`                 // canonical, without secrets
	UpstreamProxy *UpstreamProxy    `json:"upstream_proxy,omitempty"` // that every connection goes through
	Allowlist     json.RawMessage   `json:"allowlist,omitempty"`      // the live table as /allowlist shows it
	Kernel        map[string]string `json:"kernel,omitempty"`         // text dumps of the namespace, ruleset, links as read back
}

// UpstreamProxy is the proxy that a bottle goes through. It holds no secret.
type UpstreamProxy struct {
	URL    string `json:"url"`
	CA     string `json:"ca,omitempty"`     // SHA-256 of the certificates that it brings, in hex
	Scheme string `json:"scheme,omitempty"` // of the credential that it is shown ("Basic"); absent: none
	From   string `json:"from"`             // "manifest", or "policy" where the operator says so for the host
}

// ExecRequest runs one more command in a bottle: POST /v1/bottles/{id}/exec.
// Descriptors ride along as with [CreateRequest].
type ExecRequest struct {
	Command  []string `json:"command"`
	Dir      string   `json:"dir,omitempty"` // default: the bottle's
	Env      []string `json:"env,omitempty"`
	Terminal bool     `json:"terminal,omitempty"`
}

// Exec names a command started by an [ExecRequest]; wait for it at
// GET /v1/bottles/{id}/exec/{exec}/wait.
type Exec struct {
	ID  string `json:"id"`
	PID int    `json:"pid"`
}

// SignalRequest sends a signal: POST /v1/bottles/{id}/signal.
type SignalRequest struct {
	Signal int    `json:"signal"`
	Exec   string `json:"exec,omitempty"` // to this exec and not to the bottle's command
}

// RoutesRequest replaces the route table: PUT /v1/bottles/{id}/routes.
type RoutesRequest struct {
	Manifest     string            `json:"manifest"`
	ManifestName string            `json:"manifest_name,omitempty"`
	Files        map[string]string `json:"files,omitempty"`
	Tokens       map[string]string `json:"tokens,omitempty"`
}

// RoutesResponse says what is in force after a [RoutesRequest].
type RoutesResponse struct {
	Generation uint64 `json:"generation"`
	Routes     int    `json:"routes"`
}

// StopRequest ends a bottle: POST /v1/bottles/{id}/stop.
type StopRequest struct {
	// GraceSeconds is how long the command may take after SIGTERM before all is killed; 0 to 300.
	GraceSeconds int `json:"grace_seconds,omitempty"`
}

// Stats is one bottle of the answer of GET /v1/stats: what it did since its daemon
// or, for the connections, its enforcer began.
type Stats struct {
	ID             string `json:"id"`
	Name           string `json:"name"`
	Owner          uint32 `json:"owner"`
	State          State  `json:"state"`
	Open           int64  `json:"open"`        // connections at this moment
	Connections    int64  `json:"connections"` // since the enforcer began
	Requests       uint64 `json:"requests"`
	Denied         uint64 `json:"denied"`          // requests and connections
	KernelRefusals uint64 `json:"kernel_refusals"` // by the walls, before any connection
	BytesUp        uint64 `json:"bytes_up"`
	BytesDown      uint64 `json:"bytes_down"`
}

// Feature is one thing the kernel must offer: GET /v1/doctor.
type Feature struct {
	Name     string `json:"name"`
	OK       bool   `json:"ok"`
	Required bool   `json:"required"`
	Detail   string `json:"detail,omitempty"` // what was found
	Fix      string `json:"fix,omitempty"`    // what to do
}

// Doctor is the answer of GET /v1/doctor.
type Doctor struct {
	OK       bool      `json:"ok"`
	Features []Feature `json:"features"`
}

// VersionInfo is the answer of GET /v1/version.
type VersionInfo struct {
	Version string `json:"version"`
	API     string `json:"api"`
	Go      string `json:"go"`
	PID     int    `json:"pid"`
}

// Error is the body of every answer that is not a success.
type Error struct {
	// Code is stable: "invalid", "not-found", "conflict", "forbidden", "unavailable",
	// "internal", [CodeNoCommand] or [CodeNotExecutable].
	Code string `json:"code"`
	// Message says what was refused, why, and what to do.
	Message string `json:"message"`
	// RequestID is how the daemon's log names the request.
	RequestID string `json:"request_id,omitempty"`
}

// Codes of a command that could not be started: what a shell answers with 127 and 126.
const (
	CodeNoCommand     = "command-not-found"
	CodeNotExecutable = "command-not-executable"
)

// RequestIDHeader is the header of every answer that names the request as the
// daemon's log does.
const RequestIDHeader = "Bottled-Request-Id"

// FDHeader is the request header that says how many descriptors ride along.
// A request whose count differs from what arrived is refused.
const FDHeader = "Bottled-Fds"

package bottle

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"bottled/policy"
	"bottled/proposal"
	"bottled/routes"
)

// recordVersion is the version of the state on disk. A daemon that finds another
// does not guess: it releases the bottle.
const recordVersion = 1

// record is what a later daemon must know of a bottle. It holds no secret.
type record struct {
	Version        int                 `json:"version"`
	ID             string              `json:"id"`
	Name           string              `json:"name"`
	Owner          uint32              `json:"owner"`
	User           Identity            `json:"user"`
	Home           string              `json:"home"`
	Command        []string            `json:"command"`
	Dir            string              `json:"dir"`
	Env            []string            `json:"env"`
	Terminal       bool                `json:"terminal"`
	UserNamespaces bool                `json:"user_namespaces"`
	Attached       bool                `json:"attached"`
	Created        time.Time           `json:"created"`
	Manifest       []byte              `json:"manifest"`
	Granted        []proposal.Proposal `json:"granted,omitempty"` // since that manifest was put in force
	Generation     uint64              `json:"generation"`
	Slots          []string            `json:"slots"`                 // token_ref of each token slot of a route, in order
	Subject        *subject            `json:"subject"`               // who put them in force
	UpstreamCA     string              `json:"upstream_ca,omitempty"` // digest of the certificates
	Chain          chained             `json:"chain,omitzero"`        // the proxy that it goes through
	Routes         int                 `json:"routes"`
	CgroupID       uint64              `json:"cgroup_id"` // of the group its processes are in
	NetNS          uint64              `json:"netns"`     // inode
	NetNSCookie    uint64              `json:"netns_cookie"`
	Init           process             `json:"init"`
	Worker         process             `json:"worker"`
}

// subject is whose table it is: the floor and the operator's tokens are for them.
type subject struct {
	UID    uint32   `json:"uid"`
	Groups []uint32 `json:"groups"`
}

// owner is the uid as audit events have it.
func (r *record) owner() string { return strconv.FormatUint(uint64(r.Owner), 10) }

// inForce notes a table and whose it is.
func (r *record) inForce(s policy.Subject, t table) {
	r.Slots, r.Routes, r.Subject = nil, t.count, &subject{s.UID, s.Groups}
	for _, slot := range t.slots {
		if slot.Name != routes.ProxySlot {
			r.Slots = append(r.Slots, slot.Ref.String())
		}
	}
}

// refs are the token references in force, by slot.
func (r *record) refs() map[string]string {
	refs := make(map[string]string)
	for i, ref := range r.Slots {
		refs[slotName(i)] = ref
	}
	if r.Chain.TokenRef != "" {
		refs[routes.ProxySlot] = r.Chain.TokenRef
	}
	return refs
}

// digest names a text without holding it; "" is none.
func digest(text []byte) string {
	if len(text) == 0 {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// process names a process for ever: a number alone is soon another's.
type process struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // field 22 of /proc/PID/stat, in clock ticks since boot
}

const recordFile = "bottle.json"

// save writes the record so that a reader finds the old one or the new one whole.
func (r *record) save(dir string) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false) // it would make six bytes of some, in a file system that is memory
	if err := enc.Encode(r); err != nil {
		return fmt.Errorf("record of bottle %q: %w", r.Name, err)
	}
	f, err := os.CreateTemp(dir, recordFile+".*")
	if err != nil {
		return fmt.Errorf("record of bottle %q: %w", r.Name, err)
	}
	defer os.Remove(f.Name()) // fails once it is renamed
	_, err = f.Write(text.Bytes())
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("record of bottle %q: %w", r.Name, err)
	}
	if err := os.Rename(f.Name(), filepath.Join(dir, recordFile)); err != nil {
		return fmt.Errorf("record of bottle %q: %w", r.Name, err)
	}
	return nil
}

// loadRecord reads the record in dir.
func loadRecord(dir string) (*record, error) {
	text, err := os.ReadFile(filepath.Join(dir, recordFile))
	if err != nil {
		return nil, err
	}
	var r record
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("record in %q: %w", dir, err)
	}
	if r.Version != recordVersion {
		return nil, fmt.Errorf("record in %q has version %d, this daemon reads %d", dir, r.Version, recordVersion)
	}
	if r.ID != filepath.Base(dir) {
		return nil, fmt.Errorf("record in %q is of bottle %q", dir, r.ID)
	}
	return &r, nil
}

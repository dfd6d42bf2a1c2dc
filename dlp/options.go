package dlp

import (
	"fmt"
	"strings"

	"bottled/dlp/rules"
)

// Options configures an [Engine]. The zero value is the built-in rules with their
// defaults.
type Options struct {
	Secrets  []Secret        // values that may leave nowhere
	Patterns []Pattern       // rules of the operator
	Modes    map[string]Mode // by rule id, in place of the class's default
	Generic  Mode            // of generic rules; zero: Warn
	Exempt   []Exemption     // what passes all the same
	Key      []byte          // of the fingerprints; nil: a random one, so that they mean nothing to others
	Limits   Limits          // zero fields: DefaultLimits
}

// Secret is a value that must not leave, such as a token of the bottle or a canary.
// It does not print its value.
type Secret struct {
	Name  string // its rule id is "secret:" + Name
	Value string // at least MinSecret bytes
}

// secretPrefix begins the rule ids of secrets.
const secretPrefix = "secret:"

// MinSecret is the shortest secret that can be looked for, in bytes. A shorter one
// would be found everywhere.
const MinSecret = 6

// Format prints the name and never the value, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "[secret %q]", s.Name) }

// MarshalText refuses: a secret is not to be written down.
func (s Secret) MarshalText() ([]byte, error) {
	return nil, fmt.Errorf("dlp: secret %q must not be marshalled", s.Name)
}

// Pattern is a rule of the operator.
type Pattern struct {
	ID       string
	Regexp   string      // RE2
	Keywords []string    // one of them is in every match, in any case; none: the literal the expression begins with
	Entropy  float64     // bits per byte the match must exceed; 0: any
	Class    rules.Class // zero: rules.High
}

// Exemption lets matches pass. Every field that is set must agree; an exemption
// without Rule and Fingerprint is an error, as it would exempt everything, and so is
// one from a rule that is not there or is a secret's: no exemption reaches a secret.
type Exemption struct {
	Rule        string
	Route       string // as given to Engine.Scan
	Fingerprint string // as in Finding
}

// exemptions refuses those that would not do what they say.
func (c *compiler) exemptions() error {
	for _, x := range c.o.Exempt {
		switch {
		case x.Rule == "" && x.Fingerprint == "":
			return fmt.Errorf("dlp: exemption for route %q would exempt everything: name a rule or a fingerprint", x.Route)
		case strings.HasPrefix(x.Rule, secretPrefix):
			return fmt.Errorf("dlp: exemption from %q: a secret leaves nowhere", x.Rule)
		case x.Rule != "" && !c.known[x.Rule]:
			return fmt.Errorf("dlp: exemption from unknown rule %q", x.Rule)
		case x.Fingerprint != "" && rules.Begins(x.Rule):
			return fmt.Errorf("dlp: exemption of one match of %q, which finds only how a secret begins", x.Rule)
		}
	}
	return nil
}

// Limits bounds what one [Scan] may take. What is over a limit is refused.
type Limits struct {
	Body     int64 // bytes of all bodies and messages; 0: 16 GiB
	Depth    int   // encodings undone, one inside another, beside the declared ones; 0: 3
	Ratio    int64 // decompressed bytes for each byte fed, beyond the first 8 MiB; 0: 250
	Work     int64 // units of work for each byte fed, beyond the first 64 Mi; 0: 200. One unit is about a nanosecond
	Streams  int   // compressed streams open at a time; 0: 16
	Hold     int   // bytes a Gate keeps back while the body goes on; 0: 64 KiB
	Held     int   // bytes a Gate or Redactor keeps back at most; 0: 1 MiB
	Findings int   // findings kept; 0: 32
}

func (l Limits) withDefaults() Limits {
	set := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	set64 := func(p *int64, v int64) {
		if *p == 0 {
			*p = v
		}
	}
	set64(&l.Body, 16<<30)
	set(&l.Depth, 3)
	set64(&l.Ratio, 250)
	set64(&l.Work, 200)
	set(&l.Streams, 16)
	set(&l.Hold, 64<<10)
	set(&l.Held, 1<<20)
	set(&l.Findings, 32)
	return l
}

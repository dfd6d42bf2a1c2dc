package dlp

import (
	"crypto/rand"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"bottled/dlp/automaton"
	"bottled/dlp/decode"
	"bottled/dlp/rules"
)

// Engine is a compiled set of rules. It is immutable and safe for concurrent use;
// what its scans work with is pooled in it.
type Engine struct {
	rules    []*rule
	literals []literal            // keywords, signatures of compressed data, short secrets
	words    *automaton.Automaton // literals plain, skeletons of secrets strewn
	bones    []string             // the skeletons
	owner    []int                // their rules
	redacts  bool                 // some rule is in mode Redact
	generic  bool                 // payment cards and IBANs are looked for
	card     int                  // their rules
	iban     int
	exempt   []Exemption
	limits   Limits
	key      []byte

	views, desks, held, jsons sync.Pool // what scans are done with and give back
}

// literal is what the words automaton can find: one of three.
type literal struct {
	keywords []keyword
	magic    decode.Format // a signature, of a stream that begins skip bytes before its end
	zip      bool          // a local file header
	exact    int           // 1 + rule of a short secret
	text     string
}

// New compiles the built-in rules and those of o. It refuses what would not do what
// it says: an unknown rule in Modes, an exemption from everything, a secret too
// short to look for, a pattern without a literal to look for first.
func New(o Options) (*Engine, error) {
	e := &Engine{limits: o.Limits.withDefaults(), exempt: slices.Clone(o.Exempt), key: slices.Clone(o.Key)}
	if o.Limits.Depth < 0 || o.Limits.Hold < 0 || e.limits.Held < e.limits.Hold {
		return nil, fmt.Errorf("dlp: limits %+v: none may be negative, and Held not below Hold", o.Limits)
	}
	if len(e.key) == 0 {
		e.key = make([]byte, 32)
		rand.Read(e.key)
	}
	if o.Generic == Default {
		o.Generic = Warn
	}
	c := compiler{e: e, o: &o, byText: map[string]int{}, known: map[string]bool{}}
	steps := []func() error{c.builtIn, c.patterns, c.numbers, c.secrets, c.signatures, c.unknown, c.exemptions, c.automata}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	e.redacts = slices.ContainsFunc(e.rules, func(r *rule) bool { return r.mode == Redact })
	return e, nil
}

// Rules returns the ids of all rules that are looked for, secrets included.
func (e *Engine) Rules() []string {
	var out []string
	for _, r := range e.rules {
		out = append(out, r.id)
	}
	return out
}

type compiler struct {
	e      *Engine
	o      *Options
	byText map[string]int
	known  map[string]bool
}

// mode of a rule, by its id and class.
func (c *compiler) mode(id string, class rules.Class) Mode {
	c.known[id] = true
	if m := c.o.Modes[id]; m != Default {
		return m
	}
	if class == rules.High {
		return Block
	}
	return c.o.Generic
}

func (c *compiler) literal(text string) *literal {
	text = strings.ToLower(text)
	i, ok := c.byText[text]
	if !ok {
		i = len(c.e.literals)
		c.byText[text] = i
		c.e.literals = append(c.e.literals, literal{text: text})
	}
	return &c.e.literals[i]
}

func (c *compiler) add(r *rules.Rule) error {
	if c.known[r.ID] {
		return fmt.Errorf("dlp: two rules named %q", r.ID)
	}
	mode := c.mode(r.ID, r.Class)
	if mode == Off {
		return nil
	}
	n := len(c.e.rules)
	out := newRule(r, mode)
	c.e.rules = append(c.e.rules, out)
	for _, k := range r.Keywords {
		lit := c.literal(k)
		lit.keywords = append(lit.keywords, keyword{rule: n, length: len(k), offset: out.shape.offsetOf(strings.ToLower(k))})
	}
	return nil
}

func (c *compiler) builtIn() error {
	all, err := rules.Load()
	if err != nil {
		return err
	}
	for i := range all {
		if err := c.add(&all[i]); err != nil {
			return err
		}
	}
	return nil
}

func (c *compiler) patterns() error {
	for _, p := range c.o.Patterns {
		re, err := regexp.Compile(p.Regexp)
		if err != nil {
			return fmt.Errorf("dlp: pattern %q: %w", p.ID, err)
		}
		if p.ID == "" || re.MatchString("") {
			return fmt.Errorf("dlp: pattern %q needs an id and must not match the empty string", p.ID)
		}
		r := rules.Rule{ID: p.ID, Class: p.Class, Keywords: p.Keywords, Regexp: re, Entropy: p.Entropy}
		if r.Class == 0 {
			r.Class = rules.High
		}
		if len(r.Keywords) == 0 {
			first, _ := re.LiteralPrefix()
			if len(first) < 3 {
				return fmt.Errorf("dlp: pattern %q: give a keyword of 3 bytes or more that every match contains", p.ID)
			}
			r.Keywords = []string{first}
		}
		for _, k := range r.Keywords {
			if len(k) < 2 {
				return fmt.Errorf("dlp: pattern %q: keyword %q is too short", p.ID, k)
			}
		}
		if err := c.add(&r); err != nil {
			return err
		}
	}
	return nil
}

// numbers adds the rules that have no keyword.
func (c *compiler) numbers() error {
	add := func(id string) int {
		mode := c.mode(id, rules.Generic)
		if mode == Off {
			return -1
		}
		c.e.rules = append(c.e.rules, &rule{id: id, class: rules.Generic, mode: mode})
		return len(c.e.rules) - 1
	}
	c.e.card, c.e.iban = add(rules.PaymentCard), add(rules.IBAN)
	c.e.generic = c.e.card >= 0 || c.e.iban >= 0
	return nil
}

func (c *compiler) secrets() error {
	for _, s := range c.o.Secrets {
		if s.Name == "" || len(s.Value) < MinSecret {
			return fmt.Errorf("dlp: secret %q needs a name and at least %d bytes", s.Name, MinSecret)
		}
		id := secretPrefix + s.Name
		if c.known[id] {
			return fmt.Errorf("dlp: two secrets named %q", s.Name)
		}
		mode := c.mode(id, rules.High)
		if mode == Off {
			return fmt.Errorf("dlp: secret %q cannot be switched off: leave it out", s.Name)
		}
		n := len(c.e.rules)
		c.e.rules = append(c.e.rules, &rule{id: id, class: rules.High, mode: mode})
		bones := skeletons(s.Value)
		for _, b := range bones {
			c.e.bones = append(c.e.bones, b)
			c.e.owner = append(c.e.owner, n)
		}
		if len(bones) > 0 {
			continue
		}
		for _, form := range exactForms(s.Value) {
			c.e.literals = append(c.e.literals, literal{text: form, exact: n + 1})
		}
	}
	return nil
}

// signatures adds how compressed data begins. What is only similar fails to
// decompress at once and is forgotten.
func (c *compiler) signatures() error {
	for text, f := range map[string]decode.Format{
		"\x1f\x8b\x08": decode.Gzip, "\x28\xb5\x2f\xfd": decode.Zstd,
		"\x78\x01": decode.Zlib, "\x78\x5e": decode.Zlib, "\x78\x9c": decode.Zlib, "\x78\xda": decode.Zlib,
	} {
		c.e.literals = append(c.e.literals, literal{text: text, magic: f})
	}
	c.e.literals = append(c.e.literals, literal{text: "PK\x03\x04", magic: decode.Deflate, zip: true})
	return nil
}

// unknown refuses a mode for a rule that is not there: it would be believed.
func (c *compiler) unknown() error {
	for _, id := range slices.Sorted(maps.Keys(c.o.Modes)) {
		if !c.known[id] {
			return fmt.Errorf("dlp: mode for unknown rule %q", id)
		}
		if c.o.Modes[id] > Block {
			return fmt.Errorf("dlp: rule %q: unknown mode %d", id, c.o.Modes[id])
		}
	}
	if c.o.Generic > Block {
		return fmt.Errorf("dlp: unknown mode %d for generic rules", c.o.Generic)
	}
	return nil
}

func (c *compiler) automata() error {
	var texts []string
	for _, l := range c.e.literals {
		texts = append(texts, l.text)
	}
	var err error
	if c.e.words, err = automaton.New(texts, c.e.bones, punctuation, decode.MayFold); err != nil {
		return fmt.Errorf("dlp: too many keywords or secrets to look for: %w", err)
	}
	return nil
}

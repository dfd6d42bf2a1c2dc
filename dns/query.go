package dns

import (
	"errors"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	headerLen = 12
	// udpSize is the largest message we take or offer over UDP (EDNS flag day 2020). No
	// answer of ours comes near it: one name, one address, one SOA.
	udpSize = 1232
	// maxMessage bounds a query over TCP, in bytes.
	maxMessage = 4096
)

// Types that ask for something other than the records of a name.
const (
	typeANY  = dnsmessage.TypeALL
	firstQ   = dnsmessage.Type(249) // TKEY; up to 255 follow TSIG, IXFR, AXFR, MAILB, MAILA, ANY
	ednsVers = 0
)

// query is a parsed query: everything of it that an answer depends on.
type query struct {
	header   dnsmessage.Header
	question dnsmessage.Question
	edns     bool
	badVers  bool
}

// Errors of parse. The first is for what gets no answer at all.
var (
	errIgnore = errors.New("dns: not a query")
	errFormat = errors.New("dns: malformed query")
)

// parse reads a query, strictly: one question, spelt without compression, at most one OPT
// record (RFC 6891) beside it, and not one byte more. On errFormat and on an
// opcode that is not QUERY only the header is set.
func parse(msg []byte) (query, error) {
	var p dnsmessage.Parser
	var q query
	header, err := p.Start(msg)
	if err != nil || header.Response {
		return q, errIgnore // an answer to an answer could go round for ever
	}
	q.header = header
	if header.OpCode != 0 {
		return q, nil
	}
	questions, err := p.AllQuestions()
	if err != nil || len(questions) != 1 {
		return q, errFormat
	}
	length := headerLen + wireLen(questions[0].Name) + 4
	if answers, err := p.AllAnswers(); err != nil || len(answers) != 0 {
		return q, errFormat
	}
	if authorities, err := p.AllAuthorities(); err != nil || len(authorities) != 0 {
		return q, errFormat
	}
	opt, err := p.AdditionalHeader()
	if err == nil {
		if opt.Type != dnsmessage.TypeOPT || opt.Name.String() != "." {
			return q, errFormat
		}
		q.edns, q.badVers = true, opt.TTL>>16&0xff != ednsVers
		length += 1 + 10 + int(opt.Length)
		if p.SkipAdditional() != nil {
			return q, errFormat
		}
		_, err = p.AdditionalHeader()
	}
	if err != dnsmessage.ErrSectionDone || len(msg) != length {
		return q, errFormat
	}
	q.question = questions[0]
	return q, nil
}

// wireLen is the length of a name that is not compressed.
func wireLen(n dnsmessage.Name) int {
	if n.Length == 1 {
		return 1 // the root
	}
	return int(n.Length) + 1
}

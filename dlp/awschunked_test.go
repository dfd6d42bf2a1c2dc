package dlp

import (
	"fmt"
	"strings"
	"testing"
)

// awsBody puts data into chunks of n bytes.
func awsBody(data string, n int, signed bool, trailers ...string) string {
	extension := ""
	if signed {
		extension = ";chunk-signature=" + strings.Repeat("0a", 32)
	}
	var b strings.Builder
	for len(data) > 0 {
		k := min(n, len(data))
		fmt.Fprintf(&b, "%x%s\r\n%s\r\n", k, extension, data[:k])
		data = data[k:]
	}
	b.WriteString("0" + extension + "\r\n")
	for _, t := range trailers {
		b.WriteString(t + "\r\n")
	}
	return b.String() + "\r\n"
}

func TestAWSChunked(t *testing.T) {
	e := canaryEngine(t)
	benign := strings.Repeat("rows of nothing\n", 5000)
	sum := "x-amz-checksum-crc32c:sOO8/Q=="
	for name, tc := range map[string]struct {
		encoding, body string
		want           Action
		reason         Reason
	}{
		"benign":                 {"aws-chunked", awsBody(benign, 64<<10, true), Pass, ""},
		"unsigned, trailer":      {"aws-chunked", awsBody(benign, 8<<10, false, sum), Pass, ""},
		"empty":                  {"aws-chunked", awsBody("", 1, true), Pass, ""},
		"rule":                   {"aws-chunked", awsBody(benign+ruleCanary+" x", 64<<10, true), Blocked, ""},
		"rule over chunks":       {"aws-chunked", awsBody("x "+ruleCanary+" x", 7, true), Blocked, ""},
		"rule, a byte a chunk":   {"AWS-Chunked", awsBody("x "+ruleCanary+" x", 1, false), Blocked, ""},
		"base64 over chunks":     {"aws-chunked", awsBody(encoders[1].encode("x "+ruleCanary), 9, true), Blocked, ""},
		"gzip in it, as by AWS":  {"aws-chunked,gzip", awsBody(string(gz([]byte("x "+ruleCanary))), 11, true), Blocked, ""},
		"gzip in it, RFC 9110":   {"gzip, aws-chunked", awsBody(string(gz([]byte("x "+ruleCanary))), 11, true), Blocked, ""},
		"gzip in it, benign":     {"gzip, aws-chunked", awsBody(string(gz([]byte(benign))), 11, true), Pass, ""},
		"trailer":                {"aws-chunked", awsBody("x", 1, true, "x-amz-meta-a:"+encoders[1].encode("x "+ruleCanary)), Blocked, ""},
		"extension":              {"aws-chunked", "1;note=" + encoders[1].encode("x "+ruleCanary) + "\r\nx\r\n0\r\n\r\n", Refuse, BadEncoding},
		"extension in signed":    {"aws-chunked", "1;chunk-signature=" + strings.Repeat("g", 64) + "\r\nx\r\n0\r\n\r\n", Refuse, BadEncoding},
		"no end":                 {"aws-chunked", "1\r\nx\r\n", Refuse, BadEncoding},
		"half a chunk":           {"aws-chunked", "5\r\nx", Refuse, BadEncoding},
		"data after the end":     {"aws-chunked", awsBody("x", 1, false) + "more", Refuse, BadEncoding},
		"chunk longer than said": {"aws-chunked", "1\r\nxy\r\n0\r\n\r\n", Refuse, BadEncoding},
		"bare line feed":         {"aws-chunked", "1\nx\n0\n\n", Refuse, BadEncoding},
		"sign":                   {"aws-chunked", "+1\r\nx\r\n0\r\n\r\n", Refuse, BadEncoding},
		"huge size":              {"aws-chunked", "ffffffffffffffff\r\nx\r\n0\r\n\r\n", Refuse, BadEncoding},
		"long line":              {"aws-chunked", strings.Repeat("0", 2000) + "\r\n\r\n", Refuse, BadEncoding},
		"not framed at all":      {"aws-chunked", benign, Refuse, BadEncoding},
		"nothing":                {"aws-chunked", "", Refuse, BadEncoding},
		"twice":                  {"aws-chunked, aws-chunked", awsBody(awsBody("x", 1, false), 64, false), Refuse, UnknownEncoding},
	} {
		for _, step := range []int{0, 1, 5} {
			v := scanBody(e, tc.body, step, BodyOptions{Encoding: tc.encoding})
			reason := Reason("")
			if v.Refusal != nil {
				reason = v.Refusal.Reason
			}
			if v.Action != tc.want || reason != tc.reason {
				t.Errorf("%s, %d bytes at a time: %v %v", name, step, v, reason)
			}
		}
	}
}

// An encoding that nobody can undo is refused, or judged as it is where it may.
func TestUnreadable(t *testing.T) {
	e := canaryEngine(t)
	scrambled := strings.Repeat("\x9f\x03abc", 300)
	for name, tc := range map[string]struct {
		encoding, body string
		may            bool
		want           Action
	}{
		"refused":                    {"compress", scrambled, false, Refuse},
		"may":                        {"compress", scrambled, true, Pass},
		"may, secret as it is":       {"compress", scrambled + ownCanary, true, Blocked},
		"may, rule in base64":        {"compress", scrambled + " " + encoders[1].encode("x "+ruleCanary), true, Blocked},
		"may, under gzip":            {"compress, gzip", string(gz([]byte(scrambled + ownCanary))), true, Blocked},
		"may, under gzip, benign":    {"compress, gzip", string(gz([]byte(scrambled))), true, Pass},
		"may, gzip under it":         {"gzip, compress", scrambled, true, Pass},
		"may, and what can is wrong": {"gzip", scrambled, true, Refuse},
		"may, in chunks":             {"aws-chunked, compress", awsBody(scrambled+ownCanary, 7, true), true, Blocked},
	} {
		v := scanBody(e, tc.body, 0, BodyOptions{Encoding: tc.encoding, Unreadable: tc.may})
		if v.Action != tc.want {
			t.Errorf("%s: %v", name, v)
		}
		if v.Action == Pass && (len(v.Findings) != 1 || v.Findings[0].Rule != string(UnknownEncoding) || v.Findings[0].Mode != Warn) {
			t.Errorf("%s: nothing says so: %v", name, v.Findings)
		}
	}
}

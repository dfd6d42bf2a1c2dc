package routes

import (
	"net/url"
	gopath "path"
	"slices"
	"strings"
	"testing"
)

func TestCheckPath(t *testing.T) {
	for _, good := range []string{"/", "/a", "/a/", "/a/b.c", "/a..b", "/.git", "/a%20b", "/a%5B1%5D", "/~a", "/a:b", "/a=b&c", "/@scope/name", "/compare/a...b"} {
		if err := CheckPath(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "a", "/..", "/.", "/a/..", "/a/../b", "/a/./b", "/./a", "//", "/a//b", "/a//", "/...", "/a.", "/a./b", "/%20a", "/a%20", "/a%20/b", "/..%20/b",
		"/%2e", "/%2E%2e/a", "/.%2e/a", "/a%2fb", "/a%2Fb", "/a%5cb", "/a%5Cb", `/a\b`, `/a\..\b`, "/%252e", "/%252f", "/%25", "/a%25zz", "/%", "/%2", "/%zz",
		"/a;b", "/a;", "/..;/a", "/a%3bb", "/a%3Bb", "/a%3fb", "/a%23b", "/a#b", "/a?b", "/%00", "/a%00.txt", "/a\x00", "/a%0ab", "/a%7f", "/a b", "/a\tb",
		"/%c0%ae%c0%ae/a", "/%e0%80%af", "/%ef%bc%8e%ef%bc%8e/", "/%ef%bc%8f", "/%e2%88%95", "/%e2%81%84", "/é", "/%c3%a9", "/a\xffb", `/"`, "/<a>", "/{a}", "/[a]", "/a|b", "/a^b", "/a`b",
	} {
		if err := CheckPath(bad); err == nil {
			t.Errorf("%q: passed", bad)
		}
	}
}

func TestPathPatternString(t *testing.T) {
	for _, s := range []string{"/", "/a", "/a/", "/a/b", "/*", "/*/", "/a*b/c/", "/a%20b"} {
		if p, err := ParsePathPattern(s); err != nil || p.String() != s {
			t.Errorf("%q: %q, %v", s, p, err)
		}
	}
}

// readings are the paths that different upstreams take path for.
func readings(target string) []string {
	raw, _, _ := strings.Cut(target, "?")
	once := looseDecode(raw)
	twice := looseDecode(once)
	var out []string
	for _, s := range []string{raw, once, twice, looseDecode(twice)} {
		// Who decodes first may find a query, a fragment or the end of a C string.
		out = append(out, s, strings.ToValidUTF8(s, ""), s[:strings.IndexAny(s+"?", "?#\x00")])
	}
	if u, err := url.ParseRequestURI(target); err == nil {
		out = append(out, u.Path, u.EscapedPath())
	}
	if u, err := url.Parse("https://h.example" + target); err == nil {
		out = append(out, u.Path, u.JoinPath().Path)
	}
	out = append(out, whatwgPath(raw))
	for _, s := range slices.Clone(out) {
		out = append(out, strings.ReplaceAll(s, `\`, "/"), foldWide(s))
	}
	for _, s := range slices.Clone(out) {
		out = append(out, cutParameters(s))
	}
	for _, s := range slices.Clone(out) {
		slash := strings.HasSuffix(s, "/")
		clean := gopath.Clean("/" + s)
		if slash && clean != "/" {
			clean += "/"
		}
		out = append(out, clean, trimSegments(s), gopath.Clean("/"+trimSegments(s)))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func looseDecode(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' {
			if c, ok := unescape(s, i); ok {
				b.WriteByte(c)
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// foldWide reads fullwidth forms and overlong UTF-8 as the ASCII they look like.
func foldWide(s string) string {
	for i := rune(0xff01); i <= 0xff5e; i++ {
		s = strings.ReplaceAll(s, string(i), string(i-0xfee0))
	}
	return strings.NewReplacer("\xc0\xae", ".", "\xc0\xaf", "/", "\xe0\x80\xaf", "/", "∕", "/", "⁄", "/").Replace(s)
}

// cutParameters drops what follows a semicolon in each segment (RFC 2396 §3.3, as
// servlet containers do).
func cutParameters(s string) string {
	segments := strings.Split(s, "/")
	for i := range segments {
		segments[i], _, _ = strings.Cut(segments[i], ";")
	}
	return strings.Join(segments, "/")
}

// trimSegments drops spaces and dots at the end of segments, as Windows does, and
// spaces at their start.
func trimSegments(s string) string {
	segments := strings.Split(s, "/")
	for i, seg := range segments {
		if seg = strings.Trim(seg, " "); seg != "." && seg != ".." {
			seg = strings.TrimRight(seg, ". ")
		}
		segments[i] = seg
	}
	return strings.Join(segments, "/")
}

// whatwgPath is the path state of the URL standard for a special scheme.
func whatwgPath(raw string) string {
	raw = strings.NewReplacer(`\`, "/", "\t", "", "\n", "", "\r", "").Replace(raw)
	var out []string
	segments := strings.Split(strings.TrimPrefix(raw, "/"), "/")
	for i, s := range segments {
		last := i == len(segments)-1
		switch strings.ReplaceAll(strings.ToLower(s), "%2e", ".") {
		case "..":
			if len(out) > 0 {
				out = out[:len(out)-1]
			}
			if last {
				out = append(out, "")
			}
		case ".":
			if last {
				out = append(out, "")
			}
		default:
			out = append(out, s)
		}
	}
	return "/" + strings.Join(out, "/")
}

// FuzzPath holds that no path is allowed by us and read otherwise by anybody:
// every reading of an allowed path is below the same entry.
func FuzzPath(f *testing.F) {
	for _, s := range []string{
		"/allowed", "/allowed/x", "/allowed/../admin", "/allowed/%2e%2e/admin", "/allowed/..%2fadmin", "/allowed/%252e%252e%252fadmin",
		"/allowed/..;/admin", `/allowed\..\admin`, "/allowed//../admin", "/allowed/%c0%ae%c0%ae/", "/allowed/%ef%bc%8e%ef%bc%8e/admin",
		"/allowed%00", "/%61llowed/x", "/allowed/a%20b", "/allowed/..%20/admin", "/allowed/%3f/../../admin", "/allowed/x?/../../admin", "/my%20dir/x", "/allowed/.../x", "/mid/a/end",
	} {
		f.Add(s)
	}
	tab := table(f, `egress_proxy: {routes: [{host: h.example.com, path_allowlist: ["/allowed", "/my%20dir/", "/mid/*/end"]}]}`)
	literal := func(p string) bool {
		p = strings.ReplaceAll(p, "%20", " ")
		segments := strings.Split(strings.Trim(p, "/"), "/")
		return p == "/allowed" || strings.HasPrefix(p, "/allowed/") || strings.HasPrefix(p, "/my dir/") ||
			len(segments) >= 3 && segments[0] == "mid" && segments[1] != "" && segments[2] == "end"
	}
	two := table(f, `egress_proxy: {routes: [{host: h.example.com, methods: [POST]}, {host: h.example.com, methods: [GET], path_allowlist: ["/allowed"]}]}`)
	f.Fuzz(func(t *testing.T, target string) {
		q := query(t, "POST", "https://h.example.com/")
		q.Target = target
		if two.Decide(q).Allowed() {
			for _, reading := range readings(target) {
				if reading == "/allowed" || strings.HasPrefix(reading, "/allowed/") {
					t.Errorf("POST %q is allowed, and some upstream reads %q, where GET alone is", target, reading)
				}
			}
		}
		q.Method = "GET"
		if !tab.Decide(q).Allowed() {
			return
		}
		for _, reading := range readings(target) {
			// An entry that ends in a slash is met by the cleaned form without it too.
			if !literal(reading) && !literal(reading+"/") {
				t.Errorf("%q is allowed, and some upstream reads %q", target, reading)
			}
		}
		// And what net/http would forward for the same target is the same bytes.
		if u, err := url.ParseRequestURI(target); err != nil || u.RequestURI() != target && !strings.HasSuffix(target, "?") {
			t.Errorf("%q is allowed, and net/url forwards %v (%v)", target, u, err)
		}
	})
}

func TestCovers(t *testing.T) {
	for _, row := range []struct {
		p, q string
		want bool
	}{
		{"/", "/a", true}, {"/", "/", true}, {"/a", "/a", true}, {"/a", "/a/", true}, {"/a", "/a/b/c", true}, {"/a/", "/a/b", true}, {"/a/*/c", "/a/b/c/d", true},
		{"/a/*/c", "/a/*/c", true}, {"/a/x*", "/a/xy", true}, {"/a/x*", "/a/x*y", true},
		{"/a/", "/a", false}, {"/a/b", "/a", false}, {"/a", "/ab", false}, {"/a/*/c", "/a/b/d", false}, {"/a/x*", "/a/*", false},
	} {
		p, err := ParsePathPattern(row.p)
		if err != nil {
			t.Fatal(err)
		}
		q, err := ParsePathPattern(row.q)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Covers(q); got != row.want {
			t.Errorf("%s covers %s: %v", p, q, got)
		}
	}
}

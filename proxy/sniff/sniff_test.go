package sniff

import "testing"

func TestClassify(t *testing.T) {
	for in, want := range map[string]Kind{
		"":                             More,
		"\x16":                         More,
		"\x16\x03\x01\x02\x00":         TLS,
		"\x16\x02\x01":                 Unknown,
		"\x80\x2e\x01\x00\x02":         Unknown, // SSLv2
		"GE":                           More,
		"GET ":                         HTTP1,
		"GET / HTTP/1.1\r\n":           HTTP1,
		"VERSION-CONTROL /x HTTP/1.1":  HTTP1,
		"get / HTTP/1.1\r\n":           Unknown,
		"\r\nGET / HTTP/1.1":           Unknown,
		" GET /":                       Unknown,
		"PRI ":                         More,
		"PRI * HTTP/2.0\r\n\r\nSM":     Preface2,
		"PRI /":                        HTTP1,
		"PROXY TCP4 10.0.0.9 1.1.1.1 ": Unknown,
		"\r\n\r\n\x00\r\nQUIT\n":       Unknown, // PROXY v2
		"\x04\x01\x00\x50":             Unknown, // SOCKS4
		"\x05\x01\x00":                 Unknown, // SOCKS5
		"SSH-2.0-OpenSSH":              Unknown,
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAA": Unknown,
	} {
		if got := Classify([]byte(in)); got != want {
			t.Errorf("Classify(%q) = %d, want %d", in, got, want)
		}
	}
}

// The verdict on a prefix, once given, does not change with what follows, and
// More ends at Max.
func FuzzClassify(f *testing.F) {
	f.Add([]byte("PRI * HTTP/2.0"))
	f.Add([]byte("\x16\x03\x03"))
	f.Fuzz(func(t *testing.T, p []byte) {
		var settled Kind = More
		for i := range p {
			got := Classify(p[:i+1])
			if settled != More && got != settled {
				t.Fatalf("%q: %d became %d", p[:i+1], settled, got)
			}
			if got == More && i+1 >= Max {
				t.Fatalf("%q: undecided after %d bytes", p, i+1)
			}
			settled = got
		}
	})
}

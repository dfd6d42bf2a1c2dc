package dlp

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"

	"bottled/dlp/rules"
)

func TestCards(t *testing.T) {
	for number, want := range map[string]bool{
		"4111111111111111": true, "5555555555554444": true, "2223003122003222": true, "378282246310005": true, "6011111111111117": true,
		"4111111111111112": false, "0000000000000000": false, "1234567890123452": false, "41111111": false, "20260314101112131": false,
	} {
		if got := card([]byte(number)); got != want {
			t.Errorf("card(%s) = %v", number, got)
		}
	}
}

func TestIBANs(t *testing.T) {
	for number, want := range map[string]int{
		"DE89370400440532013000": 22, "GB29NWBK60161331926819": 22, "FR1420041010050500013M02606": 27, "NO9386011117947": 15,
		"DE89370400440532013000TRAILING": 22, "DE88370400440532013000": 0, "XX89370400440532013000": 0, "DE8937040044053201": 0, "DEAB370400440532013000": 0,
	} {
		if got := iban([]byte(number)); got != want {
			t.Errorf("iban(%s) = %d, want %d", number, got, want)
		}
	}
}

func TestNumbersInText(t *testing.T) {
	e := mustEngine(t, Options{Modes: map[string]Mode{"payment-card": Block, "iban": Block}})
	for text, want := range map[string]Action{
		"pay with 4111 1111 1111 1111 today": Blocked, "pay with 4111-1111-1111-1111": Blocked, `{"n":"4111111111111111"}`: Blocked,
		"IBAN DE89 3704 0044 0532 0130 00.": Blocked, `{"iban":"GB29NWBK60161331926819"}`: Blocked,
		"at 1771234567890123, id 4111111111111112": Pass, "sha 41111111111111111111111111111111": Pass,
	} {
		for _, n := range []int{0, 1} {
			if v := scanBody(e, text, n, BodyOptions{}); v.Action != want {
				t.Errorf("%q in pieces of %d: %v", text, n, v)
			}
		}
	}
	if v := scanBody(mustEngine(t, Options{}), "4111 1111 1111 1111", 0, BodyOptions{}); v.Action != Pass || len(v.Findings) != 1 || v.Findings[0].Mode != Warn {
		t.Errorf("by default: %v", v)
	}
}

// TestTokenChecksum holds that a checksum confirms, and its absence does not acquit.
func TestTokenChecksum(t *testing.T) {
	const chars = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	body := "R7mXq2TzLk9VbN4cWdY8sHfJ3pGa6E"
	n := crc32.ChecksumIEEE([]byte(body))
	var sum string
	for range 6 {
		sum = chars[n%62:n%62+1] + sum
		n /= 62
	}
	e := mustEngine(t, Options{})
	for token, want := range map[string]bool{"ghp_" + body + sum: true, "npm_" + body + sum: true, ruleCanary: false} {
		v := scanBody(e, token, 0, BodyOptions{})
		if v.Action != Blocked || v.Findings[0].Confirmed != want {
			t.Errorf("%s: %v, want confirmed %v", token[:4], v, want)
		}
	}
}

func TestEntropy(t *testing.T) {
	if h := entropy([]byte("aaaa")); h != 0 {
		t.Errorf("of one letter: %v", h)
	}
	if h := entropy([]byte("abcd")); h != 2 {
		t.Errorf("of four letters: %v", h)
	}
	e := mustEngine(t, Options{})
	if v := scanBody(e, "ghp_"+strings.Repeat("x", 36), 0, BodyOptions{}); v.Action != Pass {
		t.Errorf("a placeholder: %v", v)
	}
	if v := scanBody(e, "AKIAIOSFODNN7EXAMPLE", 0, BodyOptions{}); v.Action != Pass {
		t.Errorf("the example of the documentation: %v", v)
	}
}

// TestEveryHighRule makes up a match for each rule of high confidence, from its
// expression, and holds that it is found: plain, in a JSON string behind an escaped
// line break, in base64, and cut in two.
func TestEveryHighRule(t *testing.T) {
	all, err := rules.Load()
	if err != nil {
		t.Fatal(err)
	}
	e := mustEngine(t, Options{})
	tried := 0
	for i := range all {
		if all[i].Class != rules.High {
			continue
		}
		token := generate(t, &all[i])
		tried++
		for name, body := range map[string]string{
			"plain": token, "in a URL": "https://example.com/?t=" + token + "&x=1", "in code": `{"content":"a = 1\n` + token + `\nb = 2"}`,
			"in base64": encoders[1].encode("the token: " + token + " and more text"),
			"in gzip":   string(gz([]byte("the token: " + token + " and more text"))),
		} {
			if v := scanBody(e, body, 0, BodyOptions{}); v.Action != Blocked {
				t.Errorf("%s, %s: %v of %q", all[i].ID, name, v, token)
			}
		}
	}
	t.Logf("%d rules", tried)
}

func TestFindingsHoldNoMatch(t *testing.T) {
	e := canaryEngine(t)
	v := scanBody(e, ownCanary+" "+ruleCanary, 0, BodyOptions{})
	s := e.Scan("")
	s.Field(Header, ownCanary, "1")
	for _, text := range []string{fmt.Sprintf("%v %+v %#v", v, v, v), s.Err().Error(), fmt.Sprintf("%+v", s.Close()),
		fmt.Sprintf("%v %+v %#v %s %q %x", Secret{"n", ownCanary}, Secret{"n", ownCanary}, Secret{"n", ownCanary}, Secret{"n", ownCanary}, Secret{"n", ownCanary}, Secret{"n", ownCanary})} {
		if strings.Contains(text, ownCanary[7:]) || strings.Contains(text, ruleCanary[4:]) {
			t.Errorf("a match is printed: %s", text)
		}
	}
}

// TestNextDigits holds that no four digits in a row are passed over, and that nothing else
// is stopped at.
func TestNextDigits(t *testing.T) {
	for n := range 70 {
		for _, other := range []byte("a \xb0\x00") {
			p := bytes.Repeat([]byte{other}, n)
			for from := range n {
				if at := nextDigits(p, from); at < from || at < n-16 {
					t.Errorf("%q from %d: stopped at %d", p, from, at)
				}
				for start := from; start+4 <= n; start++ {
					q := bytes.Clone(p)
					copy(q[start:], "4096")
					if at := nextDigits(q, from); at < from || at > start {
						t.Errorf("%q from %d: got %d", q, from, at)
					}
				}
			}
		}
	}
}

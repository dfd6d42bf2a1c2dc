package decode

import (
	"sync"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// erased marks a rune that is not seen: it is removed.
const erased = 1

// several marks a rune that stands for more than one ASCII character.
const several = 2

// lookalikes says what a rune beyond ASCII stands for. Planes 0, 1 and 14 have
// such runes; pages without any are nil.
type lookalikes struct {
	page [0xe10]*[256]byte // by rune >> 8
	long map[rune]string
}

// similar lists letters of other scripts drawn like ASCII ones, in pairs; the
// compatibility forms (full width, mathematical, circled …) come from NFKC. See
// Unicode Technical Standard 39, confusables.
const similar = "АAВBЕEКKМMНHОOРPСCТTУYХXІIЈJЅSԌGԚQԜWҮYЗ3аaеeоoрpсcуyхxіiјjѕsһhԁdԛqԝwѵvгrкkпnмmтt" +
	"ΑAΒBΕEΖZΗHΙIΚKΜMΝNΟOΡPΤTΥYΧXϹCϳjοoαaνvρpιiκkυuχxγyτtωwϲcηn" +
	"ՍUՏSՕOհhոnսuօoցgզqԼL" + "ıi" + "ȷj" + "ɡg" + "ɑa" + "ʏY" + "ᴀA" + "ʙB" + "ᴄC" + "ᴅD" + "ᴇE" + "ɢG" + "ʜH" + "ɪI" + "ᴊJ" + "ᴋK" + "ʟL" + "ᴍM" + "ɴN" +
	"ᴏO" + "ᴘP" + "ʀR" + "ꜱS" + "ᴛT" + "ᴜU" + "ᴠV" + "ᴡW" + "ᴢZ" + "‐-‑-‒-–-—-―-−-⁃-˗-﹘-" + "ǃ!" + "٪%" + "⁄/∕/" + "∶:ː:" + "․." + "∼~" + "꞊="

var table = sync.OnceValue(buildLookalikes)

func buildLookalikes() *lookalikes {
	l := &lookalikes{long: map[rune]string{}}
	for _, plane := range []rune{0, 1} {
		for r := plane<<16 | 0x80; r <= plane<<16|0xffff; r++ {
			if r >= 0x3400 && r < 0xf900 || r >= 0x11000 && r < 0x1d400 || !unicode.IsGraphic(r) {
				continue // CJK, Hangul, private use and old scripts have none
			}
			if s := norm.NFKC.String(string(r)); ascii(s) {
				l.set(r, s)
			}
		}
	}
	pair := []rune(similar)
	for i := 0; i < len(pair); i += 2 {
		l.set(pair[i], string(pair[i+1]))
	}
	for _, span := range [][2]rune{
		{0xad, 0xad}, {0x300, 0x36f}, {0x61c, 0x61c}, {0x115f, 0x1160}, {0x17b4, 0x17b5}, {0x180b, 0x180f},
		{0x200b, 0x200f}, {0x202a, 0x202e}, {0x2060, 0x206f}, {0x3164, 0x3164}, {0xfe00, 0xfe0f},
		{0xfeff, 0xfeff}, {0xffa0, 0xffa0}, {0xfff9, 0xfffb}, {0xe0000, 0xe001f}, {0xe007f, 0xe01ef},
	} {
		for r := span[0]; r <= span[1]; r++ {
			l.set(r, string(rune(erased)))
		}
	}
	for r := rune(0xe0020); r < 0xe007f; r++ { // tags: ASCII that is not drawn
		l.set(r, string(r-0xe0000))
	}
	return l
}

func (l *lookalikes) set(r rune, s string) {
	p := l.page[r>>8]
	if p == nil {
		p = new([256]byte)
		l.page[r>>8] = p
	}
	if len(s) == 1 {
		p[r&0xff] = s[0]
		return
	}
	p[r&0xff] = several
	l.long[r] = s
}

// of returns what r stands for: "" and false if only for itself, "" and true if
// for nothing.
func (l *lookalikes) of(r rune) (string, bool) {
	if r>>8 >= rune(len(l.page)) || l.page[r>>8] == nil {
		return "", false
	}
	p := l.page[r>>8]
	switch c := p[r&0xff]; c {
	case 0:
		return "", false
	case erased:
		return "", true
	case several:
		return l.long[r], true
	default:
		return one(c), true
	}
}

func ascii(s string) bool {
	for _, c := range []byte(s) {
		if c < 0x20 || c > 0x7e {
			return false
		}
	}
	return s != ""
}

package scrub

// automaton is an Aho–Corasick machine over the forms of a secret, with the
// failure links folded into the transitions: one table look-up a byte, and the
// state says how many bytes may still become a match (depth) and how many just
// did (match, the longest form that ends here).
type automaton struct {
	class [256]uint8 // bytes that occur in no form are class 0
	width int        // number of classes
	next  []int32    // state*width + class
	depth []int32
	match []int32
}

func build(forms []string) *automaton {
	a := &automaton{width: 1}
	for _, f := range forms {
		for i := range len(f) {
			if a.class[f[i]] == 0 && a.width < 256 {
				a.class[f[i]] = uint8(a.width)
				a.width++
			}
		}
	}
	a.state(0)
	for _, f := range forms {
		s := int32(0)
		for i := range len(f) {
			at := int(s)*a.width + int(a.class[f[i]])
			if a.next[at] == 0 {
				a.next[at] = a.state(int32(i + 1))
			}
			s = a.next[at]
		}
		a.match[s] = int32(len(f))
	}
	a.link()
	return a
}

func (a *automaton) state(depth int32) int32 {
	a.next = append(a.next, make([]int32, a.width)...)
	a.depth = append(a.depth, depth)
	a.match = append(a.match, 0)
	return int32(len(a.depth) - 1)
}

// link walks the states breadth first and completes each one's transitions from
// those of its longest proper suffix.
func (a *automaton) link() {
	fail := make([]int32, len(a.depth))
	var queue []int32
	for c := range a.width {
		if s := a.next[c]; s != 0 {
			queue = append(queue, s)
		}
	}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		a.match[s] = max(a.match[s], a.match[fail[s]])
		for c := range a.width {
			at, via := int(s)*a.width+c, a.next[int(fail[s])*a.width+c]
			if t := a.next[at]; t != 0 {
				fail[t] = via
				queue = append(queue, t)
			} else {
				a.next[at] = via
			}
		}
	}
}

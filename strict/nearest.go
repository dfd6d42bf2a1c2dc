package strict

import "strings"

// Nearest returns the word that s was probably meant to be, or "".
func Nearest(s string, words []string) string {
	fold := func(s string) string {
		return strings.NewReplacer("-", "", "_", "", ".", "").Replace(strings.ToLower(s))
	}
	best, bound := "", 3
	for _, w := range words {
		if fold(w) == fold(s) {
			return w
		}
		if d := distance(s, w, bound); d < bound && d < len(w)/2+1 {
			best, bound = w, d
		}
	}
	return best
}

// distance is the number of letters to insert, remove, replace or swap with their
// neighbour (optimal string alignment) that make b of a, or bound if it is not
// below that.
func distance(a, b string, bound int) int {
	if len(a)-len(b) >= bound || len(b)-len(a) >= bound {
		return bound
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(row[j-1]+1, last[j]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return min(last[len(b)], bound)
}

//go:build race

package dlp

const raceEnabled = true

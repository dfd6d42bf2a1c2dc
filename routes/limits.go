package routes

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"bottled/strict"
)

// Limits bound what the processes of a bottle use together. A zero field sets none.
type Limits struct {
	Memory    int64 // bytes, what is in its scratch directories included; no swap beside it
	Processes int   // threads count
	MilliCPUs int   // thousandths of a core's time
}

// Bounds of the limits: what is below is too little for the bottle's own init and a
// shell, what is above no machine has.
const (
	minMemory, maxMemory       = 32 << 20, 1 << 50
	minProcesses, maxProcesses = 32, 1 << 22
	minMilliCPUs, maxMilliCPUs = 10, 4096_000
)

// ReadLimits reads {memory: 2GiB, processes: 512, cpus: 1.5}; absent is no limit.
func ReadLimits(r *strict.Reader, n *strict.Node, key string) Limits {
	v := r.Object(n, key, "memory", "processes", "cpus")
	return Limits{
		Memory:    limit(r, v["memory"], strict.Join(key, "memory"), parseMemory),
		Processes: limit(r, v["processes"], strict.Join(key, "processes"), parseProcesses),
		MilliCPUs: limit(r, v["cpus"], strict.Join(key, "cpus"), parseCPUs),
	}
}

// limit reads a value that may be a number or a text.
func limit[T any](r *strict.Reader, n *strict.Node, key string, parse func(string) (T, error)) (zero T) {
	if n == nil {
		return zero
	}
	if n.Kind == strict.Number || n.Kind == strict.String {
		value, err := parse(n.Text)
		if err == nil {
			return value
		}
		r.Fail(n, key, "%q is no limit: %v", strict.Clip(n.Text), err)
		return zero
	}
	r.Is(n, key, strict.Number)
	return zero
}

func parseMemory(s string) (int64, error) {
	number, unit := s, int64(0)
	for suffix, size := range map[string]int64{"MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40} {
		if rest, ok := strings.CutSuffix(s, suffix); ok {
			number, unit = rest, size
		}
	}
	value, err := strconv.ParseInt(number, 10, 64)
	if unit == 0 || err != nil || value <= 0 || value > maxMemory/unit || value*unit < minMemory {
		return 0, errors.New("write a whole number and MiB, GiB or TiB, as in 2GiB, of at least 32MiB")
	}
	return value * unit, nil
}

func parseProcesses(s string) (int, error) {
	value, err := strconv.Atoi(s)
	if err != nil || value < minProcesses || value > maxProcesses {
		return 0, fmt.Errorf("write a whole number from %d to %d", minProcesses, maxProcesses)
	}
	return value, nil
}

// parseCPUs takes a decimal fraction of at most three places, without a float between.
func parseCPUs(s string) (int, error) {
	whole, fraction, _ := strings.Cut(s, ".")
	if len(fraction) <= 3 && len(whole) <= 4 {
		digits := whole + fraction + "000"[:3-len(fraction)]
		if value, err := strconv.ParseUint(digits, 10, 31); err == nil && value >= minMilliCPUs && value <= maxMilliCPUs {
			return int(value), nil
		}
	}
	return 0, errors.New("write a number of cores from 0.01 to 4096, as in 1.5")
}

// Within narrows the limits to a ceiling, and names the first field that asked for
// more than that.
func (l Limits) Within(ceiling Limits) (narrowed Limits, over string) {
	fields := []struct {
		name    string
		is, max int64
	}{
		{"memory", l.Memory, ceiling.Memory},
		{"processes", int64(l.Processes), int64(ceiling.Processes)},
		{"cpus", int64(l.MilliCPUs), int64(ceiling.MilliCPUs)},
	}
	for i, f := range fields {
		if f.max > 0 && f.is > f.max && over == "" {
			over = f.name
		}
		if f.max > 0 && (f.is == 0 || f.is > f.max) {
			fields[i].is = f.max
		}
	}
	return Limits{fields[0].is, int(fields[1].is), int(fields[2].is)}, over
}

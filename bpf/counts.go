package bpf

import "fmt"

// Counts is what happened since the programs were attached. It counts everything,
// also what no report was delivered of.
type Counts struct {
	Refused     map[Reason]uint64 // by reason; no entry for those that never happened
	ReportsLost uint64            // refusals without a report, because the ring was full
	FlowsLost   uint64            // connections without a flow: made before the programs, or table full
}

// Counts reads the counters.
func (s *set) Counts() (Counts, error) {
	c := Counts{Refused: make(map[Reason]uint64)}
	for i := range uint32(reasons) + 2 {
		var n uint64
		if err := s.maps[programsMapCounts].Lookup(i, &n); err != nil {
			return Counts{}, fmt.Errorf("counts of %s: %w", s.kind.whose, err)
		}
		switch i {
		case uint32(reasons): // COUNT_REPORTS_LOST
			c.ReportsLost = n
		case uint32(reasons) + 1: // COUNT_FLOWS_LOST
			c.FlowsLost = n
		default:
			if n > 0 {
				c.Refused[Reason(i)] = n
			}
		}
	}
	return c, nil
}

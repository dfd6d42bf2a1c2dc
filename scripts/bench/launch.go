package main

import (
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"time"
)

// crowd is how many bottles are launched at once, or held.
const crowd = 20

// launches times `true` in a bottle and in bare namespaces, in turn.
func (w *world) launches(rounds int) error {
	var bottle, bare []time.Duration
	for i := range rounds + 1 {
		a, err := timed(w.run(nil, "true"))
		if err != nil {
			return err
		}
		b, err := timed(exec.Command("unshare", "-n", "-p", "-f", "-m", "true"))
		if err != nil {
			return fmt.Errorf("unshare: %w", err)
		}
		if i > 0 { // the first warms up
			bottle, bare = append(bottle, a), append(bare, b)
		}
	}
	ratio := float64(quantile(bottle, 50)) / float64(quantile(bare, 50))
	fmt.Printf("launch of true: bottle %s, unshare -n -p -f -m %s (%d in turn), ratio of medians %.1f\n", spread(bottle), spread(bare), rounds, ratio)
	return w.burst()
}

// burst times `true` in bottles that are launched at once.
func (w *world) burst() error {
	took, errs := make([]time.Duration, crowd), make([]error, crowd)
	start, done := time.Now(), make(chan struct{}, crowd)
	for i := range crowd {
		go func() {
			took[i], errs[i] = timed(w.run(nil, "true"))
			done <- struct{}{}
		}()
	}
	for range crowd {
		<-done
	}
	all := time.Since(start)
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%d at once: %w", crowd, err)
	}
	fmt.Printf("launch of true, %d at once: bottle %s, all within %s\n", crowd, spread(took), ms(all))
	return nil
}

func timed(cmd *exec.Cmd) (time.Duration, error) {
	start := time.Now()
	err := cmd.Run()
	return time.Since(start), err
}

// quantile is the duration that so many percent are not longer than.
func quantile(d []time.Duration, percent int) time.Duration {
	sorted := slices.Sorted(slices.Values(d))
	return sorted[min(len(sorted)*percent/100, len(sorted)-1)]
}

func spread(d []time.Duration) string {
	return fmt.Sprintf("p50 %s p95 %s", ms(quantile(d, 50)), ms(quantile(d, 95)))
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }

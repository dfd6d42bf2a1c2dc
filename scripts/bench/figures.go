package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// launches times `true` in a bottle and in bare namespaces, in turn.
func (w *world) launches(rounds int) error {
	var bottle, bare []time.Duration
	for i := range rounds + 1 {
		a, err := timed(w.run(nil, "true"))
		if err != nil {
			return fmt.Errorf("launch: %w", err)
		}
		b, err := timed(exec.Command("unshare", "-n", "-p", "-f", "-m", "true"))
		if err != nil {
			return fmt.Errorf("unshare: %w", err)
		}
		if i > 0 { // the first warms up
			bottle, bare = append(bottle, a), append(bare, b)
		}
	}
	fmt.Printf("launch of true: bottle %s, unshare -n -p -f -m %s, ratio %.1f (medians of %d, in turn)\n",
		ms(median(bottle)), ms(median(bare)), float64(median(bottle))/float64(median(bare)), rounds)
	return nil
}

func timed(cmd *exec.Cmd) (time.Duration, error) {
	start := time.Now()
	err := cmd.Run()
	return time.Since(start), err
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }

// memory reads what an idle bottle holds: its enforcer, its init, its command.
func (w *world) memory() error {
	id, err := w.run([]string{"--detach"}, "sleep", "600").Output()
	if err != nil {
		return fmt.Errorf("memory: %w", err)
	}
	ref := strings.TrimSpace(string(id))
	defer exec.Command(w.bottled, "stop", "--socket", w.socket, ref).Run()
	time.Sleep(2 * time.Second)
	procs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return err
	}
	sizes := make(map[string]int)
	total := 0
	for _, dir := range procs {
		group, err := os.ReadFile(filepath.Join(dir, "cgroup"))
		if err != nil || !strings.Contains(string(group), "/"+ref+"/") {
			continue
		}
		kib, err := pss(dir)
		if err != nil {
			return err
		}
		args, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil {
			return err
		}
		name, _, _ := strings.Cut(string(args), "\x00")
		sizes[name] += kib
		total += kib
	}
	fmt.Printf("memory of an idle bottle: %.1f MiB (%s), proportional set size\n", float64(total)/1024, describe(sizes))
	return nil
}

func describe(sizes map[string]int) string {
	var parts []string
	for name, kib := range sizes {
		parts = append(parts, fmt.Sprintf("%s %.1f", name, float64(kib)/1024))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// pss is the proportional set size of a process, in KiB.
func pss(dir string) (int, error) {
	text, err := os.ReadFile(filepath.Join(dir, "smaps_rollup"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "Pss:"); ok {
			return strconv.Atoi(strings.Fields(value)[0])
		}
	}
	return 0, fmt.Errorf("%s: no Pss", dir)
}

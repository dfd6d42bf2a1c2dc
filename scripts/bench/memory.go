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

// settled is how long after its start a bottle has given back what the start took.
const settled = 2 * time.Second

// memory tells what an idle bottle holds: its enforcer, its init, its command. What they
// share with each other and with the daemon is the program itself, so that one of many
// holds less than a single one.
func (w *world) memory() error {
	for _, n := range []int{1, crowd} {
		sizes, err := w.idle(n)
		if err != nil {
			return err
		}
		total := 0.0
		for _, mib := range sizes {
			total += mib
		}
		fmt.Printf("memory of an idle bottle, of %d: %.1f MiB (%s), proportional set size\n", n, total, describe(sizes))
	}
	return nil
}

// idle starts n bottles and returns how much one holds, in MiB, by process.
func (w *world) idle(n int) (map[string]float64, error) {
	var refs []string
	defer func() {
		for _, ref := range refs {
			_ = exec.Command(w.bottled, "stop", "--socket", w.socket, ref).Run()
		}
	}()
	for range n {
		id, err := w.run([]string{"--detach"}, "sleep", "600").Output()
		if err != nil {
			return nil, err
		}
		refs = append(refs, strings.TrimSpace(string(id)))
	}
	time.Sleep(settled)
	procs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	sizes := make(map[string]float64)
	for _, dir := range procs {
		group, err := os.ReadFile(filepath.Join(dir, "cgroup"))
		if err != nil || !slices.ContainsFunc(refs, func(ref string) bool { return strings.Contains(string(group), "/"+ref+"/") }) {
			continue
		}
		kib, err := pss(dir)
		if err != nil {
			return nil, err
		}
		args, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil {
			return nil, err
		}
		name, _, _ := strings.Cut(string(args), "\x00")
		sizes[name] += float64(kib) / 1024 / float64(n)
	}
	return sizes, nil
}

func describe(sizes map[string]float64) string {
	var parts []string
	for name, mib := range sizes {
		parts = append(parts, fmt.Sprintf("%s %.1f", name, mib))
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

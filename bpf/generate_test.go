package bpf

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The committed objects are what the committed source gives, with the compiler named
// here (another version gives other bytes).
func TestGenerated(t *testing.T) {
	const compiler = "clang version 14."
	version, err := exec.Command("clang", "--version").Output()
	if err != nil || !strings.Contains(string(version), compiler) {
		t.Fatalf("the objects are made with %s*, here is %q, %v", compiler, version, err)
	}
	source, err := os.ReadFile("generate.go")
	must(t, err)
	out := t.TempDir()
	for line := range strings.Lines(string(source)) {
		command, ok := strings.CutPrefix(line, "//go:generate ")
		if !ok {
			continue
		}
		args := strings.Fields(command)
		args = append(args[:3], append([]string{"-output-dir", out}, args[3:]...)...)
		if text, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
	}
	for _, name := range []string{"programs_bpfel.go", "programs_bpfel.o", "fence_bpfel.go", "fence_bpfel.o"} {
		want, err := os.ReadFile(filepath.Join(out, name))
		must(t, err)
		got, err := os.ReadFile(name)
		must(t, err)
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what its source gives: run go generate ./bpf and commit it", name)
		}
	}
}

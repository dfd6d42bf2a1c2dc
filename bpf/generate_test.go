package bpf

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
)

// The committed objects are what the committed source gives with the compiler named
// here, Debian 12's. Another version gives other bytes: of those, what the loader sees is
// compared. The Go files are the same with each.
func TestGenerated(t *testing.T) {
	const compiler = "clang version 14."
	version, err := exec.Command("clang", "--version").Output()
	if err != nil {
		t.Fatalf("the objects are made with %s*: %v", compiler, err)
	}
	out := generated(t)
	for _, name := range []string{"programs_bpfel.go", "programs_bpfel.o", "fence_bpfel.go", "fence_bpfel.o"} {
		want, err := os.ReadFile(filepath.Join(out, name))
		must(t, err)
		got, err := os.ReadFile(name)
		must(t, err)
		same := bytes.Equal(got, want)
		if strings.HasSuffix(name, ".o") && !strings.Contains(string(version), compiler) {
			same = slices.Equal(loaded(t, got), loaded(t, want))
		}
		if !same {
			t.Errorf("%s is not what its source gives: run go generate ./bpf, with %s*, and commit it", name, compiler)
		}
	}
}

// generated is the directory with what the commands of generate.go make.
func generated(t *testing.T) string {
	t.Helper()
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
	return out
}

// loaded lists the maps, variables and programs of an object, with what the kernel is told of each.
func loaded(t *testing.T, object []byte) (list []string) {
	t.Helper()
	set, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(object))
	must(t, err)
	for name, m := range set.Maps {
		// The compiler's own constants are data of any size and number.
		if !strings.HasPrefix(name, ".rodata") {
			list = append(list, fmt.Sprintf("map %s: %v, key %d, value %d, entries %d, flags %#x, pinning %v", name, m.Type, m.KeySize, m.ValueSize, m.MaxEntries, m.Flags, m.Pinning))
		}
	}
	for name, v := range set.Variables {
		list = append(list, fmt.Sprintf("variable %s: %d bytes, constant %t", name, v.Size(), v.Constant()))
	}
	for name, p := range set.Programs {
		list = append(list, fmt.Sprintf("program %s: %v, %v, attached %v to %q, license %q", name, p.SectionName, p.Type, p.AttachType, p.AttachTo, p.License))
	}
	slices.Sort(list)
	return list
}

package bottle

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

// TestAFaultAtAnyStepOfAStartLeavesNothing fails each step in turn. The command
// must not have run, the error must name the step, and nothing may be left.
func TestAFaultAtAnyStepOfAStartLeavesNothing(t *testing.T) {
	injected := errors.New("injected fault")
	at := 0
	m := newManager(t, func(o *Options) {
		o.Fault = func(operation string, step int, name string) error {
			if operation == "start" && step == at {
				return fmt.Errorf("%w before %s", injected, name)
			}
			return nil
		}
	})
	if _, err := run(t, m, CreateOptions{Command: []string{"true"}}); err != nil {
		t.Fatalf("the control, without a fault: %v", err)
	}
	nothingLeft(t, m)
	before := descriptors(t)
	var all []step
	for _, stage := range stages {
		all = append(all, slices.Concat(stage...)...)
	}
	for i, step := range all {
		at = i + 1
		t.Run(step.name, func(t *testing.T) {
			got, err := run(t, m, CreateOptions{Name: "victim", Command: []string{"echo", "ran"}})
			if !errors.Is(err, injected) {
				t.Fatalf("got %q, %v; want the injected fault", got.text, err)
			}
			nothingLeft(t, m)
		})
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors are open, %d were", after, before)
	}
	at = 0
	if _, err := run(t, m, CreateOptions{Name: "victim", Command: []string{"true"}}); err != nil {
		t.Errorf("the name is not free after failed starts: %v", err)
	}
}

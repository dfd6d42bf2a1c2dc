package siege

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"bottled/api"
	"bottled/api/client"
	"bottled/attack"
)

// TestAttackConnectAtOnce launches a program that connects with its first breath, over and
// over: there is no moment at which the walls are not there.
func TestAttackConnectAtOnce(t *testing.T) {
	d := newDaemon(t)
	script := func(tg target) string {
		return fmt.Sprintf("for to in tcp/%[1]s/9000 udp/%[1]s/443 tcp/%[2]s/9000; do (echo canary > /dev/$to) 2>/dev/null; done; exit 0", tg.Addr4, tg.Addr6)
	}
	attack.Stopped(t, "R01", fmt.Sprintf("%d launches", scaled(12, 1000)),
		func(t *testing.T) error {
			m := control.mark()
			if err := exec.Command("bash", "-c", script(control)).Run(); err != nil {
				return err
			}
			return control.since(m, controlPatience)
		},
		func(t *testing.T) error {
			m := forbidden.mark()
			dir := workDir(t, someone)
			for range scaled(12, 1000) {
				b, err := d.Create(context.Background(), api.CreateRequest{
					Manifest: manifest("", ""), Command: []string{"/bin/bash", "-c", script(forbidden)}, Dir: dir, User: &someone,
				})
				must(t, err)
				exit, err := d.Wait(context.Background(), b.ID, false)
				if err != nil || exit.Code != 0 {
					t.Errorf("the program did not come to its end: %+v, %v", exit, err)
				}
			}
			return forbidden.since(m, attackPatience)
		})
}

// TestAttackLackingKernel takes away what a daemon needs of its kernel, one thing at a time:
// no bottle comes to be, instead of one with a wall less.
func TestAttackLackingKernel(t *testing.T) {
	launch := func(mask string) attack.Probe {
		return func(t *testing.T) error {
			c := newConfig(t)
			c.Mask = mask
			d, err := c.launch()
			if err != nil {
				return err
			}
			defer d.end(t)
			marker := "ran-" + c.Instance
			b, err := d.Create(context.Background(), api.CreateRequest{
				Manifest: manifest("", ""), Command: []string{"/bin/sh", "-c", "echo > " + marker}, Dir: workDir(t, someone), User: &someone,
			})
			if err != nil {
				if answer := new(client.Error); !errors.As(err, &answer) {
					t.Errorf("the daemon did not live to refuse: %v", err)
				}
				return err
			}
			if _, err := d.Wait(context.Background(), b.ID, false); err != nil {
				return err
			}
			_, err = os.Stat(b.Dir + "/" + marker)
			return err
		}
	}
	lacking := launch("")(t) // nothing: the control of every row
	control := func(*testing.T) error { return lacking }
	for name := range masks {
		attack.Stopped(t, "R21", "a kernel without "+name, control, launch(name))
	}
}

// TestAttackSameName makes, changes and stops bottles of one name, all at once.
func TestAttackSameName(t *testing.T) {
	d := newDaemon(t)
	free := outside(t)
	attack.Stopped(t, "R22", "a hundred at once", free.reaches(order{Op: "get"}, control), func(t *testing.T) error {
		m := forbidden.mark()
		ctx := context.Background()
		dir := workDir(t, someone)
		var all sync.WaitGroup
		var made, refused int
		var mu sync.Mutex
		for i := range 100 {
			all.Go(func() {
				switch i % 4 {
				case 0, 1:
					// Anew until one is made, as a stop gives up a start that is under way.
					for range 500 {
						_, err := d.Create(ctx, api.CreateRequest{
							Name: "same", Manifest: manifest("", ""), Dir: dir, User: &someone,
							Command: []string{"/bin/bash", "-c", "while :; do echo canary > /dev/tcp/" + forbidden.Addr4.String() + "/9000; done 2>/dev/null"},
						})
						mu.Lock()
						if err == nil {
							made++
						} else {
							refused++
						}
						met := made > 0
						mu.Unlock()
						if met {
							return
						}
						time.Sleep(10 * time.Millisecond)
					}
				case 2:
					_, _ = d.UpdateRoutes(ctx, "same", api.RoutesRequest{Manifest: manifest(otherRoute, "")})
				case 3:
					if err := d.Stop(ctx, "same", api.StopRequest{}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		if made == 0 || refused == 0 {
			t.Errorf("%d were made and %d refused: they did not meet", made, refused)
		}
		must(t, d.Stop(ctx, "same", api.StopRequest{}))
		list, err := d.List(ctx, false)
		if err != nil || len(list) > 0 {
			t.Errorf("left are %+v, %v", list, err)
		}
		nothingLeft(t, d.config)
		return forbidden.since(m, attackPatience)
	})
}

package dns

import (
	"errors"
	"fmt"
	"testing"

	"bottled/attack"
	"bottled/routes"
)

// What a bottle has asked for shows in nothing that another one is answered: neither in
// the address of the name, nor in those of the names after it.
func TestAttackTraces(t *testing.T) {
	address := func(pool *Pool, name string) string {
		t.Helper()
		host, err := routes.ParseSNI(name)
		if err != nil {
			t.Fatal(err)
		}
		addr, ok := pool.Addr(host)
		if !ok {
			t.Fatalf("%s has no address", name)
		}
		return addr.String()
	}
	// told is whether b can tell that a asked for a name.
	told := func(pools func() (a, b *Pool)) attack.Probe {
		return func(*testing.T) error {
			answers := func(asked bool) string {
				a, b := pools()
				if asked {
					address(a, "secret.example.com")
				}
				return fmt.Sprint(address(b, "fresh.example.com"), address(b, "secret.example.com"), address(b, "last.example.com"))
			}
			if answers(true) != answers(false) {
				return nil
			}
			return errors.New("the same answers, asked or not")
		}
	}
	attack.Stopped(t, "D18", "names of another bottle",
		told(func() (*Pool, *Pool) { shared := NewPool(); return shared, shared }),
		told(func() (*Pool, *Pool) { return NewPool(), NewPool() }))
}

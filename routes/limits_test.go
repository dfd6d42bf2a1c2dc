package routes

import "testing"

func TestWithin(t *testing.T) {
	for _, c := range []struct {
		asked, ceiling, want Limits
		over                 string
	}{
		{Limits{}, Limits{}, Limits{}, ""},
		{Limits{64 << 20, 100, 500}, Limits{}, Limits{64 << 20, 100, 500}, ""},
		{Limits{}, Limits{64 << 20, 100, 500}, Limits{64 << 20, 100, 500}, ""},
		{Limits{Memory: 64 << 20}, Limits{64 << 20, 100, 0}, Limits{64 << 20, 100, 0}, ""},
		{Limits{65 << 20, 101, 0}, Limits{64 << 20, 100, 500}, Limits{64 << 20, 100, 500}, "memory"},
		{Limits{0, 101, 501}, Limits{64 << 20, 100, 500}, Limits{64 << 20, 100, 500}, "processes"},
		{Limits{0, 99, 501}, Limits{0, 100, 500}, Limits{0, 99, 500}, "cpus"},
	} {
		if got, over := c.asked.Within(c.ceiling); got != c.want || over != c.over {
			t.Errorf("%+v within %+v: %+v, %q; want %+v, %q", c.asked, c.ceiling, got, over, c.want, c.over)
		}
	}
}

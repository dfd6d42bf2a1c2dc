package netns

import "testing"

func TestCreate(t *testing.T) {
	p := Default()
	n, err := Create(p)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	d, err := n.Dump()
	t.Log(d, err)
	l, err := n.Listen(p)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	lines, err := n.Diff(p)
	t.Log(lines, err)
}

func BenchmarkCreate(b *testing.B) {
	p := Default()
	for b.Loop() {
		n, err := Create(p)
		if err != nil {
			b.Fatal(err)
		}
		n.Close()
	}
}

func BenchmarkCreateIface(b *testing.B) {
	p := Default()
	p.Interface = "eth0"
	for b.Loop() {
		n, err := Create(p)
		if err != nil {
			b.Fatal(err)
		}
		n.Close()
	}
}

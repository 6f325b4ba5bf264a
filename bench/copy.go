package main

import (
	"errors"
	"runtime"
	"slices"
	"sync/atomic"

	"gorgonia.org/tensor"
)

// newCopy copies the input of a case to a result whose memory is kept. It shows the speed
// of the memory for a pass that reads one array and writes one. Each thread copies a part.
func newCopy(c benchCase, d *data) *program {
	if c.dtype == tensor.Float32 {
		return copying[float32](d)
	}
	return copying[float64](d)
}

func copying[T float32 | float64](d *data) *program {
	from := d.args[0].Data().([]T)
	to := make([]T, len(from))
	m := newTeam(runtime.GOMAXPROCS(0), func(i, n int) {
		lo, hi := i*len(from)/n, (i+1)*len(from)/n
		copy(to[lo:hi], from[lo:hi])
	})
	return &program{
		run: func() error { m.work(); return nil },
		check: func() error {
			if !slices.Equal(to, from) {
				return errors.New("the copy differs")
			}
			return nil
		},
		close: m.stop,
	}
}

// team does work in parts, one of them in the goroutine that asks for it. The other
// goroutines spin while they wait: waking one takes longer than copying a small array.
type team struct {
	part  func(i, n int)
	n     int
	turn  atomic.Int64 // counts the calls of work
	done  atomic.Int64 // parts of this turn that are done, but the caller's
	quits atomic.Bool
}

func newTeam(n int, part func(i, n int)) *team {
	m := &team{part: part, n: n}
	for i := 1; i < n; i++ {
		go m.help(i)
	}
	return m
}

func (m *team) help(i int) {
	for seen := int64(0); !m.quits.Load(); {
		if t := m.turn.Load(); t != seen {
			seen = t
			m.part(i, m.n)
			m.done.Add(1)
		}
	}
}

func (m *team) work() {
	m.done.Store(0)
	m.turn.Add(1)
	m.part(0, m.n)
	for m.done.Load() < int64(m.n-1) {
	}
}

func (m *team) stop() { m.quits.Store(true) }

package gradcheck

import (
	"fmt"
	"math"
	"math/rand"
)

// directions is the number of random directions for an input whose elements are not all
// checked one by one. An error in one element escapes a direction only if it is below the
// tolerance.
const directions = 3

// comparison compares gradients with central differences.
type comparison struct {
	*expression
	fwd *forward
}

// compare checks the gradients of one leaf from all machines. It takes the differences,
// which are the expensive part, once for all machines.
func (c *comparison) compare(l *leaf, grads []gradient) ([]group, error) {
	groups := make([]group, len(grads))
	for k, g := range grads {
		groups[k] = group{machine: g.machine, input: l.name}
	}
	for _, i := range c.selection(len(l.x)) {
		if err := c.compareElement(l, i, grads, groups); err != nil {
			return nil, err
		}
	}
	if !c.maxSet || len(l.x) <= c.maxElements() {
		return groups, nil
	}
	rnd := rand.New(rand.NewSource(int64(len(l.x))))
	for n := 1; n <= directions; n++ {
		if err := c.compareDirection(l, n, randomDirection(rnd, l.x), grads, groups); err != nil {
			return nil, err
		}
	}
	return groups, nil
}

func (c *comparison) compareElement(l *leaf, i int, grads []gradient, groups []group) error {
	scale := math.Max(1, math.Abs(l.x[i]))
	index := unravel(i, l.shape)
	want, noise, err := c.derivative(l, []step{{i, scale}})
	if err != nil {
		return fmt.Errorf("%w (central difference at %s)", err, element(l.name, index))
	}
	want, noise = want/scale, noise/scale
	for k, g := range grads {
		m := Mismatch{Machine: g.machine, Input: l.name, Index: index, Got: g.d[i], Want: want}
		m.Tol = c.tolerance(m.Got, m.Want, noise)
		groups[k].elements++
		if m.off() {
			groups[k].off = append(groups[k].off, m)
		}
	}
	return nil
}

func (c *comparison) compareDirection(l *leaf, n int, dir []step, grads []gradient, groups []group) error {
	want, noise, err := c.derivative(l, dir)
	if err != nil {
		return fmt.Errorf("%w (central difference of %s along direction %d)", err, l.name, n)
	}
	for k, g := range grads {
		m := Mismatch{Machine: g.machine, Input: l.name, Direction: n, Got: dot(g.d, dir), Want: want}
		m.Tol = c.tolerance(m.Got, m.Want, noise)
		groups[k].directions++
		if !m.off() {
			continue
		}
		if len(groups[k].off) == 0 {
			if err := c.locate(l, dir, g, &groups[k]); err != nil {
				return err
			}
		}
		groups[k].off = append(groups[k].off, m)
	}
	return nil
}

// locate searches for the element behind a wrong directional derivative by
// halving the set of elements that move.
func (c *comparison) locate(l *leaf, dir []step, g gradient, to *group) error {
	for len(dir) > 1 {
		half := dir[:len(dir)/2]
		want, noise, err := c.derivative(l, half)
		if err != nil {
			return err
		}
		m := Mismatch{Got: dot(g.d, half), Want: want}
		m.Tol = c.tolerance(m.Got, m.Want, noise)
		if m.off() {
			dir = half
		} else {
			dir = dir[len(dir)/2:]
		}
	}
	one := []group{*to}
	err := c.compareElement(l, dir[0].at, []gradient{g}, one)
	*to = one[0]
	return err
}

// derivative returns the central difference of the cost along the steps, and the rounding
// error in it for each unit in the last place of the result. The stencil is applied to
// each element of y before the weighted sum, since the difference of two sums would lose
// the digits that the sums have in common.
func (c *comparison) derivative(l *leaf, steps []step) (d, noise float64, err error) {
	var y [4][]float64
	for k, t := range []float64{-2, -1, 1, 2} {
		if y[k], err = c.fwd.eval(l, steps, t*c.step); err != nil {
			return 0, 0, err
		}
	}
	var s sum
	for i, w := range c.weights {
		a, b, c, d := y[0][i], y[1][i], y[2][i], y[3][i]
		if a == b && b == c && c == d {
			continue
		}
		s.add(w * (8*(c-b) - (d - a)))
		big := max(math.Abs(a), math.Abs(b), math.Abs(c), math.Abs(d))
		noise += w * w * math.Max(1, big*big)
	}
	// If no output moves, the gradient should be 0 but for its own rounding: the
	// tolerance allows for at least one output of order one.
	return s.value() / (12 * c.step), epsilon * math.Sqrt(math.Max(noise, 1)) / c.step, nil
}

func (c *comparison) maxElements() int { return max(c.max, 2) }

// selection returns the elements that are checked one by one.
func (c *comparison) selection(n int) []int {
	count := n
	if c.maxSet {
		count = min(n, c.maxElements())
	}
	at := make([]int, count)
	for i := range at {
		at[i] = i
		if count < n {
			at[i] = i * (n - 1) / (count - 1)
		}
	}
	return at
}

// randomDirection moves every element by a similar amount. Its length is about one, so
// that many elements together move no further than a single one would.
func randomDirection(rnd *rand.Rand, x []float64) []step {
	dir := make([]step, len(x))
	for i := range dir {
		by := (0.5 + rnd.Float64()) / math.Sqrt(float64(len(x)))
		if rnd.Intn(2) == 0 {
			by = -by
		}
		dir[i] = step{i, by * math.Max(1, math.Abs(x[i]))}
	}
	return dir
}

func dot(g []float64, dir []step) float64 {
	var s sum
	for _, d := range dir {
		s.add(g[d.at] * d.by)
	}
	return s.value()
}

// sum is a compensated sum by Neumaier's method.
type sum struct{ s, c float64 }

func (a *sum) add(x float64) {
	t := a.s + x
	if math.Abs(a.s) >= math.Abs(x) {
		a.c += (a.s - t) + x
	} else {
		a.c += (x - t) + a.s
	}
	a.s = t
}

func (a *sum) value() float64 {
	if math.IsInf(a.s, 0) {
		return a.s // the correction is NaN then
	}
	return a.s + a.c
}

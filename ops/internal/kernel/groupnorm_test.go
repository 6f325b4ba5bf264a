package kernel

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// groupNormCase is the input of one group norm; gamma and beta may be nil.
type groupNormCase[T Float] struct {
	p                  GroupShape
	x, gamma, beta, dy []T
}

// newGroupNormCase has groups that lie as the condition says.
func newGroupNormCase[T Float](p GroupShape, c condition) groupNormCase[T] {
	d := newData[T]()
	v := p.groups()
	return groupNormCase[T]{
		p: p, x: d.view(v, c), gamma: d.normal(p.Channels, 1, 1), beta: d.normal(p.Channels, 0, 1), dy: d.normal(v.Len(), 0, 1),
	}
}

func (c groupNormCase[T]) run() normResult[T] {
	var g guards[T]
	x, gamma, beta, dy := g.in(c.x), g.in(c.gamma), g.in(c.beta), g.in(c.dy)
	r := normResult[T]{g.out(len(x)), g.out(len(x)), g.out(c.p.Channels), g.out(c.p.Channels)}
	GroupNormFwd(r.y, x, nil, gamma, beta, c.p)
	GroupNormBwd(r.dx, r.dgamma, r.dbeta, x, nil, gamma, dy, c.p)
	g.check()
	return r
}

// channelOf is the channel of element i.
func (p GroupShape) channelOf(i int) int { return i / p.Inner % p.Channels }

// check compares the kernels with the oracle.
func (c groupNormCase[T]) check(t *testing.T, what string) {
	t.Helper()
	v := c.p.groups()
	groups := make([][]int, v.Channels)
	for g := range groups {
		groups[g] = indices(v, g)
	}
	c.compareGroups(t, what, c.run(), groups, c.p.N*v.Inner)
}

// compareGroups compares results with the oracle, for which a group, given by its
// elements, is a row with a gamma for each. Sums are of n terms.
func (c groupNormCase[T]) compareGroups(t *testing.T, what string, r normResult[T], groups [][]int, n int) {
	t.Helper()
	dgamma, dbeta := make([]value, c.p.Channels), make([]value, c.p.Channels)
	for _, at := range groups {
		gamma, beta := make([]dd, len(at)), make([]dd, len(at))
		for k, i := range at {
			gamma[k], beta[k] = constantDD(c.gamma, c.p.channelOf(i), 1, 1)[0], constantDD(c.beta, c.p.channelOf(i), 0, 1)[0]
		}
		rows := Rows{Rows: 1, Cols: len(at), Eps: c.p.Eps}
		compare(t, what+" y", gather(r.y, at), rowFwd(wide(c.x, at), gamma, beta, rows), len(at))
		dx, dg, db := rowBwd(wide(c.x, at), gamma, wide(c.dy, at), rows)
		compare(t, what+" dx", gather(r.dx, at), dx, len(at))
		for k, i := range at {
			ch := c.p.channelOf(i)
			dgamma[ch], dbeta[ch] = dgamma[ch].add(dg[k]), dbeta[ch].add(db[k])
		}
	}
	compare(t, what+" dgamma", r.dgamma, dgamma, n)
	compare(t, what+" dbeta", r.dbeta, dbeta, n)
}

// groupShapes are around vectors, pieces and cuts; the last are large groups
// that are shared, and groups that are larger than a piece.
func groupShapes() (ps []GroupShape) {
	for _, n := range lengths() {
		if n < 1100 {
			ps = append(ps, GroupShape{2, 6, 3, n, 1e-5}, GroupShape{3, 4, 4, n, 1e-5})
		}
		ps = append(ps, GroupShape{2, 2 * n, 2, 1, 1e-5}, GroupShape{1, n, 1, 3, 1e-5}, GroupShape{2, n, n, 1, 1e-5})
	}
	for _, n := range []int{1, 2, 3, 5, 7, 8, 9, 16, 31, 49, 64, 100, 127, 196, 255, 256, 300} {
		ps = append(ps, GroupShape{9, 6, 3, n, 1e-5}, GroupShape{8, 5, 5, n, 1e-5}, GroupShape{21, 8, 1, n, 1e-5})
	}
	return append(ps, GroupShape{3, 5, 1, 49, 1e-5}, GroupShape{300, 6, 2, 50, 1e-5}, GroupShape{16, 256, 32, 49, 1e-5}, GroupShape{5, 64, 32, 49, 1e-5}, GroupShape{40, 24, 8, 100, 1e-5},
		GroupShape{2, 6, 2, 20000, 1e-5}, GroupShape{1, 3, 1, 30000, 1e-5}, GroupShape{4, 4, 4, 40000, 1e-5},
		GroupShape{1, 300000, 2, 1, 1e-5}, GroupShape{3, 30000, 10, 1, 1e-5}, GroupShape{4097, 3, 3, 1, 1e-5})
}

func TestGroupNormSizes(t *testing.T) { both(t, groupNormSizes[float32], groupNormSizes[float64]) }

func groupNormSizes[T Float](t *testing.T) {
	skipUnderRace(t)
	for _, p := range groupShapes() {
		newGroupNormCase[T](p, easy).check(t, label("", p))
	}
}

func TestGroupNormConditions(t *testing.T) {
	both(t, groupNormConditions[float32], groupNormConditions[float64])
}

func groupNormConditions[T Float](t *testing.T) {
	skipUnderRace(t)
	for _, c := range conditions {
		for _, p := range []GroupShape{{N: 2, Channels: 6, Groups: 2, Inner: 1}, {N: 3, Channels: 4, Groups: 2, Inner: 2},
			{N: 2, Channels: 6, Groups: 2, Inner: 33}, {N: 2, Channels: 4, Groups: 4, Inner: 1000},
			{N: 1, Channels: 2, Groups: 1, Inner: 140000}, {N: 9, Channels: 6, Groups: 2, Inner: 1},
			{N: 10, Channels: 4, Groups: 2, Inner: 50}, {N: 8, Channels: 3, Groups: 3, Inner: 200}} {
			for _, eps := range []float64{0, 1e-12, 1e-5, 1} {
				p.Eps = eps
				newGroupNormCase[T](p, c).check(t, label("", c, p))
			}
		}
	}
}

func TestGroupNormOptionalParameters(t *testing.T) {
	both(t, groupNormOptional[float32], groupNormOptional[float64])
}

func groupNormOptional[T Float](t *testing.T) {
	skipUnderRace(t)
	for _, p := range []GroupShape{{3, 6, 3, 1, 1e-5}, {3, 6, 3, 5, 1e-5}, {11, 6, 3, 5, 1e-5}, {1, 4, 2, 70000, 1e-5}} {
		for i := range 4 {
			c := newGroupNormCase[T](p, easy)
			if i&1 != 0 {
				c.gamma = nil
			}
			if i&2 != 0 {
				c.beta = nil
			}
			c.check(t, label("absent", i, p))
		}
		for _, gamma := range []bool{true, false} {
			c := newGroupNormCase[T](p, easy)
			if !gamma {
				c.gamma = nil
			}
			all := c.run()
			run := func(dgamma, dbeta []T) (dx []T) {
				dx = make([]T, len(c.x))
				GroupNormBwd(dx, dgamma, dbeta, c.x, nil, c.gamma, c.dy, p)
				return dx
			}
			dgamma, dbeta := make([]T, p.Channels), make([]T, p.Channels)
			require.True(t, sameBits(all.dx, run(dgamma, nil)))
			require.True(t, sameBits(all.dx, run(nil, dbeta)))
			require.Equal(t, all.dgamma, dgamma)
			require.Equal(t, all.dbeta, dbeta)
			if gamma { // without, groups are done as rows, by other sums
				require.True(t, sameBits(all.dx, run(nil, nil)))
			}
		}
	}
}

func TestGroupNormWithoutParameters(t *testing.T) {
	both(t, groupNormWithoutParameters[float32], groupNormWithoutParameters[float64])
}

// Without gamma and beta there are no sums over samples, and kernels take another path.
func groupNormWithoutParameters[T Float](t *testing.T) {
	skipUnderRace(t)
	check := func(p GroupShape, lies condition) {
		c, v := newGroupNormCase[T](p, lies), p.groups()
		var g guards[T]
		x, dy, y, dx := g.in(c.x), g.in(c.dy), g.out(len(c.x)), g.out(len(c.x))
		GroupNormFwd(y, x, nil, nil, nil, p)
		GroupNormBwd(dx, nil, nil, x, nil, nil, dy, p)
		g.check()
		rows := Rows{Rows: 1, Cols: v.Inner, Eps: p.Eps}
		gamma, beta := constantDD[T](nil, 0, 1, v.Inner), constantDD[T](nil, 0, 0, v.Inner)
		for i := range v.Channels {
			at := indices(v, i)
			compare(t, label("y", lies, p), gather(y, at), rowFwd(wide(c.x, at), gamma, beta, rows), len(at))
			want, _, _ := rowBwd(wide(c.x, at), gamma, wide(c.dy, at), rows)
			compare(t, label("dx", lies, p), gather(dx, at), want, len(at))
		}
	}
	for _, n := range lengths() {
		check(GroupShape{3, 4, 4, n, 1e-5}, easy)
		check(GroupShape{2, 2 * n, 2, 1, 1e-5}, easy)
	}
	for _, lies := range conditions {
		for _, n := range []int{3, 33, 1000, 4096, 9000} {
			for _, eps := range []float64{0, 1e-12, 1e-5, 1, 0x1p41} {
				check(GroupShape{2, 6, 3, n, eps}, lies)
			}
		}
	}
}

func TestGroupNormConstantGroup(t *testing.T) {
	both(t, groupNormConstant[float32], groupNormConstant[float64])
}

// A constant group gives beta, bit for bit, and nothing to dγ.
func groupNormConstant[T Float](t *testing.T) {
	skipUnderRace(t)
	for _, v := range stubborn {
		for _, n := range stubbornLengths {
			p := GroupShape{2, 2, 2, n, 1e-5}
			c := newGroupNormCase[T](p, easy)
			for k := range n {
				c.x[n+k], c.x[3*n+k] = T(v), T(v)
			}
			got := c.run()
			require.Zero(t, got.dgamma[1], label("", p, v))
			for k := range n {
				require.Equal(t, c.beta[1], got.y[n+k])
			}
		}
	}
}

func TestGroupNormIsolation(t *testing.T) {
	both(t, groupNormIsolation[float32], groupNormIsolation[float64])
}

// A NaN or an infinity spoils its own group and dγ of that group's channels. It changes no
// other bit, but for the last ones of dβ of these channels.
func groupNormIsolation[T Float](t *testing.T) {
	for _, p := range []GroupShape{{3, 6, 3, 1, 1e-5}, {3, 6, 3, 7, 1e-5}, {40, 6, 3, 100, 1e-5}, {1, 6, 3, 40000, 1e-5}} {
		c := newGroupNormCase[T](p, easy)
		clean, v := c.run(), p.groups()
		for _, poison := range poisons {
			at := indices(v, 1)
			i := at[len(at)/2]
			kept := c.x[i]
			c.x[i] = T(poison)
			got := c.run()
			c.x[i] = kept
			for g := range v.Channels {
				at := indices(v, g)
				same := sameBits(gather(clean.y, at), gather(got.y, at)) && sameBits(gather(clean.dx, at), gather(got.dx, at))
				require.Equal(t, g != 1, same, label("", p, poison, g))
			}
			require.True(t, allNaN(gather(got.y, at)) && allNaN(gather(got.dx, at)))
			for ch, d := range got.dgamma {
				require.Equal(t, ch/2 == 1, math.IsNaN(float64(d)), label("", p, poison, ch))
				require.InEpsilon(t, clean.dbeta[ch], got.dbeta[ch], 1e-5)
				if ch/2 != 1 {
					require.Equal(t, clean.dbeta[ch], got.dbeta[ch], label("", p, poison, ch))
				}
			}
		}
	}
}

// groupNormCalls see a view as samples of channels, in one group and in as many
// as channels.
func groupNormCalls[T Float](v View, affine bool) (cs []call[T]) {
	for _, groups := range []int{1, v.Channels} {
		p := GroupShape{v.Outer, v.Channels, groups, v.Inner, 1e-5}
		x, dy, y, dx := input[T](v.Len()), input[T](v.Len()), blank[T](v.Len()), blank[T](v.Len())
		fg, gamma := optional[T](v.Channels, affine)
		fb, beta := optional[T](v.Channels, affine)
		dg, db := blank[T](v.Channels), blank[T](v.Channels)
		cs = append(cs, call[T]{name: label("GroupNormFwd", groups), in: []fence[T]{x, fg, fb}, out: []fence[T]{y}, run: func() {
			GroupNormFwd(y.data(), x.data(), nil, gamma, beta, p)
		}}, call[T]{name: label("GroupNormBwd", groups), in: []fence[T]{x, fg, dy}, out: []fence[T]{dx, dg, db}, run: func() {
			GroupNormBwd(dx.data(), dg.data(), db.data(), x.data(), nil, gamma, dy.data(), p)
		}})
	}
	return cs
}

// The pieces of the blocks of a grid of whole channels cover every element once, channel
// by channel and with each channel split.
func TestPiecesCoverOnce(t *testing.T) {
	for _, v := range geometries() {
		g, ok := v.wholeGrid()
		if !ok {
			continue
		}
		one, halves := make([]uint8, v.Len()), make([]uint8, v.Len())
		split := View{1, 2 * v.Channels, v.Inner / 2}
		for task := range g.tasks() {
			for b := range g.block(task).pieces(fewLen) {
				require.True(t, b.channels == 1 || b.channels*b.count() <= fewLen, "%+v", v)
				for i := range b.channels {
					cover(t, v, b.one(i), one)
				}
				if v.Inner%2 == 0 {
					cover(t, split, b.split(2), halves)
				}
			}
		}
		requireOnce(t, v, one)
		if v.Inner%2 == 0 {
			requireOnce(t, split, halves)
		}
	}
}

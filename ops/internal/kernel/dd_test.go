package kernel

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// dd is a double-double: the unevaluated sum of two float64, some 106 bits. It
// is what the expected values are computed in: as exact as math/big for this
// purpose, and fast enough for long runs. It shares no code with the kernels.
type dd struct{ hi, lo float64 }

func num(x float64) dd { return dd{hi: x} }

// exactSum returns a + b rounded and its rounding error, for any a and b.
func exactSum(a, b float64) dd {
	s := a + b
	bb := s - a
	return dd{s, (a - (s - bb)) + (b - bb)}
}

// renorm is exactSum for |a| ≥ |b|.
func renorm(a, b float64) dd {
	s := a + b
	return dd{s, b - (s - a)}
}

func (a dd) neg() dd { return dd{-a.hi, -a.lo} }

func (a dd) add(b dd) dd {
	s, t := exactSum(a.hi, b.hi), exactSum(a.lo, b.lo)
	s = renorm(s.hi, s.lo+t.hi)
	return renorm(s.hi, s.lo+t.lo)
}

func (a dd) sub(b dd) dd { return a.add(b.neg()) }

func (a dd) mul(b dd) dd {
	p := float64(a.hi * b.hi) // rounded: without the conversion some processors fuse it with the sum below
	e := math.FMA(a.hi, b.hi, -p)
	return renorm(p, e+(a.hi*b.lo+a.lo*b.hi))
}

func (a dd) div(b dd) dd {
	q := num(a.hi / b.hi)
	for range 2 {
		rest := a.sub(b.mul(q))
		q = q.add(num(rest.hi / b.hi))
	}
	return q
}

func (a dd) sqrt() dd {
	if a.hi == 0 {
		return dd{}
	}
	s := num(math.Sqrt(a.hi))
	for range 2 {
		s = s.add(a.sub(s.mul(s)).div(s.add(s)))
	}
	return s
}

func (a dd) abs() float64 { return math.Abs(a.hi) }

// minus returns a − x as a float64.
func (a dd) minus(x float64) float64 { return a.sub(num(x)).hi }

func (a dd) big() *big.Float {
	x := new(big.Float).SetPrec(300).SetFloat64(a.hi)
	return x.Add(x, new(big.Float).SetFloat64(a.lo))
}

// The double-double operations agree with math/big to 2⁻¹⁰⁰, between operands
// of very different sizes too.
func TestDoubleDouble(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	draw := func() dd {
		return exactSum(math.Ldexp(r.NormFloat64(), r.IntN(200)-100), math.Ldexp(r.NormFloat64(), -150))
	}
	newBig := func() *big.Float { return new(big.Float).SetPrec(300) }
	near := func(want *big.Float, got dd, size float64) {
		diff := newBig().Sub(want, got.big())
		d, _ := diff.Abs(diff).Float64()
		require.LessOrEqual(t, d, 0x1p-100*size)
	}
	for range 2000 {
		a, b := draw(), draw()
		near(newBig().Add(a.big(), b.big()), a.add(b), a.add(b).abs())
		near(newBig().Sub(a.big(), b.big()), a.sub(b), a.sub(b).abs())
		near(newBig().Mul(a.big(), b.big()), a.mul(b), a.mul(b).abs())
		near(newBig().Quo(a.big(), b.big()), a.div(b), a.div(b).abs())
		if a.hi < 0 {
			a = a.neg()
		}
		near(newBig().Sqrt(a.big()), a.sqrt(), a.sqrt().abs())
	}
	require.Equal(t, dd{}, dd{}.sqrt())
	require.Equal(t, 0x1p-60, num(1).add(num(0x1p-60)).minus(1))
}

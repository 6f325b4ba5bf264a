package kernel

// WeightSecondArgs are the inputs of the second derivative of weight norm: those
// of the gradient, and what its outputs dv and dg are multiplied by.
type WeightSecondArgs[T Float] struct{ V, G, DW, UV, UG []T }

// WeightSecondGrads are the gradients of ⟨uv, dv⟩ + ⟨ug, dg⟩.
type WeightSecondGrads[T Float] struct{ V, G, DW []T }

// WeightNormSecond gives the second derivative of w = g·v/‖v‖: the gradients of
// s = ⟨uv, dv⟩ + ⟨ug, dg⟩, where
//
//	dv = ρ·P(dw),  dg = ⟨v̂, dw⟩,  v̂ = v/‖v‖,  ρ = g/‖v‖,  P(z) = z − v̂·⟨v̂, z⟩
//
// For each channel, as v̂ has the derivative P/‖v‖ and ρ has −ρ·v̂/‖v‖,
//
//	∂s/∂dw = ρ·P(uv) + ug·v̂
//	∂s/∂g  = ⟨uv, P(dw)⟩/‖v‖
//	∂s/∂v  = (ug·P(dw) − ρ·(v̂·⟨uv, P(dw)⟩ + ⟨v̂, uv⟩·P(dw) + ⟨v̂, dw⟩·P(uv)))/‖v‖
//
// and 0 for all where ‖v‖ is 0.
func WeightNormSecond[T Float](out WeightSecondGrads[T], in WeightSecondArgs[T], view View) {
	n := view.Channels
	a := weightNormSecond[T]{out: out, in: in, g: view.mapGrid(), channels: Borrow[weightSecond](n)}
	defer a.channels.Release()
	norm := Borrow[float64](n)
	defer norm.Release()
	Norms(in.V, view, norm.Data)
	alongU := sumPass[T]{loop: dotsPass, x: in.V, dy: in.UV}.over(view)
	defer alongU.release()
	alongW := sumPass[T]{loop: dotsPass, x: in.V, dy: in.DW}.over(view)
	defer alongW.release()
	both := sumPass[T]{loop: dotsPass, x: in.UV, dy: in.DW}.over(view)
	defer both.release()
	for c, norm := range norm.Data {
		out.G[c], a.channels.Data[c] = 0, weightSecond{}
		if norm == 0 {
			continue
		}
		k := weightSecond{
			norm: norm, rho: float64(in.G[c]) / norm, ug: float64(in.UG[c]),
			u: alongU.of(1)[c] / norm, d: alongW.of(1)[c] / norm,
		}
		k.across = both.of(1)[c] - k.u*k.d
		out.G[c], a.channels.Data[c] = T(k.across/norm), k
	}
	split(a.g.tasks(), workInGo(len(in.V)), a)
}

// weightSecond has the terms of one channel, with u = ⟨v̂, uv⟩, d = ⟨v̂, dw⟩ and
// across = ⟨uv, P(dw)⟩.
type weightSecond struct{ norm, rho, ug, u, d, across float64 }

type weightNormSecond[T Float] struct {
	out      WeightSecondGrads[T]
	in       WeightSecondArgs[T]
	g        grid
	channels *Scratch[weightSecond]
}

func (a *weightNormSecond[T]) run(first, last int) {
	for task := first; task < last; task++ {
		for l := range a.g.block(task).lines {
			for i := range l.n {
				a.element(l.at+i, &a.channels.Data[l.channel+i*l.step])
			}
		}
	}
}

func (a *weightNormSecond[T]) element(i int, k *weightSecond) {
	if k.norm == 0 {
		a.out.V[i], a.out.DW[i] = 0, 0
		return
	}
	unit := float64(a.in.V[i]) / k.norm
	pu, pw := float64(a.in.UV[i])-unit*k.u, float64(a.in.DW[i])-unit*k.d
	a.out.V[i] = T((k.ug*pw - k.rho*(unit*k.across+k.u*pw+k.d*pu)) / k.norm)
	a.out.DW[i] = T(k.rho*pu + k.ug*unit)
}

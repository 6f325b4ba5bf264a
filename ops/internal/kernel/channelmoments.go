package kernel

// ChannelMoments are the moments of some values of each channel: their number,
// the mean as the unevaluated sum Mean + Residual, and M2 = Σ(x − mean)².
type ChannelMoments struct {
	N                  float64
	Mean, Residual, M2 []float64
}

// NewChannelMoments returns the moments of no values.
func NewChannelMoments(channels int) ChannelMoments {
	all := make([]float64, 3*channels)
	return ChannelMoments{Mean: all[:channels:channels], Residual: all[channels : 2*channels : 2*channels], M2: all[2*channels:]}
}

// Merge adds the values of b to those of a. b may be a.
func (a *ChannelMoments) Merge(b ChannelMoments) {
	if b.N == 0 {
		return
	}
	for c := range a.Mean {
		m := a.channel(c)
		m.merge(b.channel(c))
		a.Mean[c], a.Residual[c], a.M2[c] = m.hi, m.lo, m.m2
	}
	a.N += b.N
}

func (a ChannelMoments) channel(c int) moments {
	return moments{a.N, a.Mean[c], a.Residual[c], a.M2[c]}
}

package kernel

// Stats are the statistics that batch norm normalizes by, one value for each
// channel: x̂ = ((x − Mean) − Residual)·Rstd.
type Stats struct{ Mean, Residual, Rstd []float64 }

// of returns the statistics of n channels, cut so that loops need no bounds checks.
func (s Stats) of(n int) (mean, residual, rstd []float64) {
	return s.Mean[:n], s.Residual[:n], s.Rstd[:n]
}

// BatchNormFwd sets y = x̂·gamma + beta with the channel's statistics, gamma
// and beta. The mask, which may be nil, says which elements count; y is 0 elsewhere.
func BatchNormFwd[T Float](y, x, mask, gamma, beta []T, v View, s Stats) {
	a := validOf(mask, v)
	defer a.release()
	k := borrowConstants[T](3, v.Channels)
	defer k.release()
	k.setBatchNorm(gamma, beta, s, v.Channels)
	mapPass[T]{loop: normalizePass, out: y, x: x, k: k}.overValid(a)
}

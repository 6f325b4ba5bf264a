package kernel

// CountOf returns how many positions a mask says count.
func CountOf[T Float](mask []T) (n int) {
	for _, m := range mask {
		if m != 0 {
			n++
		}
	}
	return n
}

// SampleMoments gives for each channel the means, over the samples, of its moments in a
// sample, and returns how many values a sample has of a channel. A mask, which may be nil,
// says what counts.
func SampleMoments[T Float](x, mask []T, v View, eps float64, mean, residual, m2 []float64) (n float64) {
	if mask != nil {
		return maskedSampleMoments(x, mask, v, eps, mean, residual, m2)
	}
	all := View{Outer: 1, Channels: v.Outer * v.Channels, Inner: v.Inner}
	s := Borrow[float64](3 * all.Channels)
	defer s.Release()
	of := func(i int) []float64 { return s.part(i, all.Channels) }
	Moments(x, nil, all, eps, of(0), of(1), of(2))
	for i, sums := range [][]float64{mean, residual, m2} {
		clear(sums)
		for k, m := range of(i) {
			sums[k%v.Channels] += m / float64(v.Outer)
		}
	}
	return float64(v.Inner)
}

// maskedSampleMoments is SampleMoments over the samples in which more than one value of a
// channel counts: n values on average. As their numbers differ, m2 is the mean of the
// unbiased variances times n − 1.
func maskedSampleMoments[T Float](x, mask []T, v View, eps float64, mean, residual, m2 []float64) (n float64) {
	s := Borrow[float64](3 * v.Channels)
	defer s.Release()
	of := func(i int) []float64 { return s.part(i, v.Channels) }
	clear(mean)
	clear(residual)
	clear(m2)
	sample := View{Outer: 1, Channels: v.Channels, Inner: v.Inner}
	samples := 0.0
	for i := range v.Outer {
		counts := mask[i*v.Inner:][:v.Inner]
		k := float64(CountOf(counts))
		if k < 2 {
			continue
		}
		Moments(x[i*sample.Len():][:sample.Len()], counts, sample, eps, of(0), of(1), of(2))
		for c := range mean {
			mean[c] += of(0)[c]
			residual[c] += of(1)[c]
			m2[c] += of(2)[c] / (k - 1)
		}
		samples++
		n += k
	}
	n /= samples
	for c := range mean {
		mean[c] /= samples
		residual[c] /= samples
		m2[c] *= (n - 1) / samples
	}
	return n
}

package main

import (
	"math"
	"slices"
	"time"
)

// sampler times a function. The rules are those of the peers' programs.
type sampler struct {
	minTime time.Duration
	now     func() time.Duration // the time since some moment
}

const (
	minSamples  = 11
	slowSamples = 3 // the least where a call takes over a second
	maxSamples  = 3000

	longCall   = 40 * time.Microsecond // above it a sample is one call
	sampleTime = 80 * time.Microsecond // the least that a sample of several calls takes
)

// samples are microseconds of a call, sorted.
type samples struct {
	us    []float64
	inner int // calls in each
}

// sample warms up, chooses how many calls make a sample, and takes samples for
// minTime.
func (s sampler) sample(run func() error) (samples, error) {
	slow, err := s.warmUp(run)
	if err != nil {
		return samples{}, err
	}
	one := time.Duration(math.MaxInt64)
	for i := 0; i < 3 && !(slow && i > 0); i++ { // takes the lowest, as a pause must not decide
		d, err := s.time(run, 1)
		if err != nil {
			return samples{}, err
		}
		one = min(one, d)
	}
	out := samples{inner: 1}
	if one <= longCall {
		out.inner = int(sampleTime/max(one, 200*time.Nanosecond)) + 1
	}
	least := minSamples
	if one > time.Second {
		least = slowSamples
	}
	for end := s.now() + s.minTime; (s.now() < end || len(out.us) < least) && len(out.us) < maxSamples; {
		d, err := s.time(run, out.inner)
		if err != nil {
			return samples{}, err
		}
		out.us = append(out.us, float64(d.Nanoseconds())/float64(out.inner)/1e3)
	}
	slices.Sort(out.us)
	return out, nil
}

// warmUp calls run a few times, or only once if that takes over half a second. slow says
// so.
func (s sampler) warmUp(run func() error) (slow bool, err error) {
	d, err := s.time(run, 1)
	if err != nil || d > time.Second/2 {
		return true, err
	}
	if d, err = s.time(run, 2); err == nil && d < 50*time.Millisecond {
		_, err = s.time(run, 10)
	}
	return false, err
}

// time returns how long n calls take.
func (s sampler) time(run func() error, n int) (time.Duration, error) {
	start := s.now()
	for range n {
		if err := run(); err != nil {
			return 0, err
		}
	}
	return s.now() - start, nil
}

// quantile returns the sample at the fraction q of the way from the lowest to the highest.
func (s samples) quantile(q float64) float64 {
	return s.us[min(int(q*float64(len(s.us))), len(s.us)-1)]
}

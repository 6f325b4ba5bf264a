package main

import (
	"math"
	"runtime"
)

// result is a line of output. The keys are those of the peers' programs.
type result struct {
	System  string  `json:"system"`
	Name    string  `json:"name"`
	Shape   []int   `json:"shape"`
	Dtype   string  `json:"dtype"`
	Threads int     `json:"threads"`
	Pass    string  `json:"pass"`
	Median  float64 `json:"median_us"`
	P10     float64 `json:"p10"`
	P90     float64 `json:"p90"`
	Min     float64 `json:"min_us"`
	N       int     `json:"n"`
	Inner   int     `json:"inner"`
	Bytes   int64   `json:"bytes_moved_min"`
	GBps    float64 `json:"GBps"`
	Flops   int64   `json:"flops,omitempty"`
	GFLOPS  float64 `json:"GFLOPS,omitempty"`
	Steps   float64 `json:"steps_per_s,omitempty"`
	ISA     string  `json:"isa,omitempty"` // that our kernels used

	// What a call leaves to the garbage collector.
	Allocs     float64 `json:"allocs_per_step"`
	AllocBytes float64 `json:"alloc_bytes_per_step"`

	// What the runner of rounds adds: the round, how much of a processor other
	// programs used meanwhile, and the day.
	Round   int     `json:"round,omitempty"`
	Foreign float64 `json:"foreign,omitempty"`
	Date    string  `json:"date,omitempty"`
}

func newResult(c benchCase, system string, threads int, pass string, s samples) result {
	median := s.quantile(0.5)
	r := result{
		System: system, Name: c.name, Shape: c.shape, Dtype: c.dtype.String(), Threads: threads, Pass: pass,
		Median: round(median, 3), P10: round(s.quantile(0.1), 3), P90: round(s.quantile(0.9), 3), Min: round(s.us[0], 3),
		N: len(s.us), Inner: s.inner,
		Bytes: c.bytes(pass), GBps: round(float64(c.bytes(pass))/median*1e-3, 2),
		Flops: c.flops(pass), GFLOPS: round(float64(c.flops(pass))/median*1e-3, 3),
	}
	if pass == step {
		r.Steps = round(1e6/median, 1)
	}
	return r
}

func round(x float64, digits int) float64 {
	p := math.Pow10(digits)
	return math.Round(x*p) / p
}

// allocations returns how many objects and bytes a call allocates.
func allocations(run func() error, calls int) (objects, bytes float64, err error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range calls {
		if err := run(); err != nil {
			return 0, 0, err
		}
	}
	runtime.ReadMemStats(&after)
	n := float64(calls)
	return float64(after.Mallocs-before.Mallocs) / n, float64(after.TotalAlloc-before.TotalAlloc) / n, nil
}

package figure

import (
	"math"
	"strconv"

	"gonum.org/v1/plot"
)

// LinearTicks returns ticks at multiples of 1, 2 or 5 times a power of ten, at
// most n or a few more of them; the first and the last enclose the range.
func LinearTicks(from, to float64, n int) []plot.Tick {
	raw := (to - from) / float64(n)
	if raw <= 0 {
		raw = 0.5 / float64(n) // a single value
	}
	power := math.Pow10(int(math.Floor(math.Log10(raw))))
	step := 10 * power
	for _, m := range []float64{5, 2, 1} {
		if m*power >= raw*(1-1e-9) {
			step = m * power
		}
	}
	first, last := math.Floor(from/step+1e-9), math.Ceil(to/step-1e-9)
	if last <= first {
		last = first + 1
	}
	var ticks []plot.Tick
	for k := first; k <= last; k++ {
		ticks = append(ticks, tick(k*step))
	}
	return ticks
}

// LogTicks returns ticks at 1, 2 and 5 times powers of ten that enclose the range; in a
// wide range, at some of the powers alone.
func LogTicks(from, to float64) (ticks []plot.Tick) {
	factors, decades := []float64{1, 2, 5}, 1
	if wide := math.Log10(to / from); wide > 4 {
		factors, decades = []float64{1}, 1+int(wide/8)
	}
	for e := int(math.Floor(math.Log10(from))); ; e += decades {
		for _, m := range factors {
			v := m * math.Pow10(e)
			if v <= from {
				ticks = ticks[:0] // this one is closer below the range
			}
			ticks = append(ticks, tick(v))
			if v >= to && len(ticks) > 1 {
				return ticks
			}
		}
	}
}

func tick(v float64) plot.Tick {
	return plot.Tick{Value: v, Label: strconv.FormatFloat(v, 'g', 6, 64)}
}

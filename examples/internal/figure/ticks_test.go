package figure

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"gonum.org/v1/plot"
)

func labels(ticks []plot.Tick) (s []string) {
	for _, t := range ticks {
		s = append(s, t.Label)
	}
	return s
}

func TestTicks(t *testing.T) {
	assert.Equal(t, []string{"0", "1", "2", "3", "4"}, labels(LinearTicks(0, 4, 4)))
	assert.Equal(t, []string{"0", "2", "4", "6", "8", "10", "12"}, labels(LinearTicks(0, 12, 10)))
	assert.Equal(t, []string{"0", "0.1", "0.2", "0.3"}, labels(LinearTicks(0, 0.3, 5)))
	assert.Equal(t, []string{"96.5", "97", "97.5", "98", "98.5"}, labels(LinearTicks(96.65, 98.1, 4)))
	assert.Equal(t, []string{"90", "90.1"}, labels(LinearTicks(90, 90, 6)))
	assert.Equal(t, []string{"0.02", "0.05", "0.1", "0.2", "0.5", "1"}, labels(LogTicks(0.04, 0.9)))
	assert.Equal(t, []string{"0.1", "0.2"}, labels(LogTicks(0.1, 0.1)))
	assert.Equal(t, []string{"0.1", "1", "10", "100", "1000", "10000"}, labels(LogTicks(0.1, 9999)))
	assert.Equal(t, []string{"0.1", "10000", "1e+09", "1e+14", "1e+19", "1e+24", "1e+29", "1e+34"}, labels(LogTicks(0.1, 1e33)))
}

package kernel

import "testing"

// RMS norm is layer norm that takes the mean for 0, so the same tests hold it to
// the same oracle.

func TestRMSNormSizes(t *testing.T) { both(t, rmsNormSizes[float32], rmsNormSizes[float64]) }

func rmsNormSizes[T Float](t *testing.T) {
	skipUnderRace(t)
	for _, n := range lengths() {
		p := Rows{Rows: 5, Cols: n, Eps: 1e-5, Uncentred: true}
		newLayerNormCase[T](p, condition{scale: 1}).check(t, label("", p))
	}
}

func TestRMSNormConditions(t *testing.T) {
	both(t, rmsNormConditions[float32], rmsNormConditions[float64])
}

func rmsNormConditions[T Float](t *testing.T) {
	skipUnderRace(t)
	for _, c := range conditions {
		for _, n := range []int{1, 3, 64, 129, 1000, 5000} {
			for _, eps := range []float64{1e-12, 1e-5, 1} {
				p := Rows{Rows: 3, Cols: n, Eps: eps, Uncentred: true}
				newLayerNormCase[T](p, c).check(t, label("", c, p))
			}
		}
	}
}

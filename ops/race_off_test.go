//go:build !race

package ops_test

// raceDetector says whether the race detector is on. Gorgonia's lisp machine has a race
// of its own when its run fails.
const raceDetector = false

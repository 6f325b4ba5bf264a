//go:build !race

package kernel

// raceEnabled says that the race detector watches: it makes sync.Pool drop
// values at random.
const raceEnabled = false

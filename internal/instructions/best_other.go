//go:build !amd64 || purego || noasm

package instructions

// Best returns the best set that there is assembly for here: none.
func Best() int { return Generic }

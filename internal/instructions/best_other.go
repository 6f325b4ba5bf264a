//go:build !amd64 || purego || noasm

package instructions

// Best returns Generic, since there is no assembly for this architecture.
func Best() int { return Generic }

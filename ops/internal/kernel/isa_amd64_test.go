//go:build amd64 && !purego && !noasm

package kernel

// useISA sets the instruction set, and returns what sets the one before.
func useISA(i int) (restore func()) {
	before := isa
	isa = i
	return func() { isa = before }
}

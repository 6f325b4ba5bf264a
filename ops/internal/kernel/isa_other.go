//go:build !amd64 || purego || noasm

package kernel

const isa = generic

//go:build !amd64 || purego || noasm

package kernel

func useISA(int) (restore func()) { return func() {} }

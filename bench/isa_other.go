//go:build !amd64 || purego || noasm

package main

func bestISA() string { return "generic" }

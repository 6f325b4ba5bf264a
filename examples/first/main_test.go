package main

import (
	"os"
	"strings"
	"testing"
)

// The README shows this program, whole.
func TestReadmeShowsTheProgram(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "```go\n"+string(program)+"```") {
		t.Error("README.md does not hold examples/first/main.go as it is")
	}
	main()
}

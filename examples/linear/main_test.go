package main

import (
	"bytes"
	"testing"

	"github.com/gorgonorm/norm/internal/command"
	"github.com/stretchr/testify/require"
)

func TestExamplesLearn(t *testing.T) {
	for name, run := range map[string]func() (float32, error){
		"batch norm": batchNorm, "layer norm": layerNorm, "weight norm": weightNorm,
	} {
		t.Run(name, func(t *testing.T) {
			loss, err := run()
			require.NoError(t, err)
			require.Less(t, loss, float32(0.001))
		})
	}
}

func TestProgram(t *testing.T) {
	for name, tc := range map[string]struct {
		args   []string
		status int
		stderr string
	}{
		"no arguments": {nil, command.OK, ""},
		"help":         {[]string{"-h"}, command.OK, "Usage of linear:\n"},
		"argument":     {[]string{"batch"}, command.Usage, "linear: unexpected argument \"batch\"\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var stderr bytes.Buffer
			require.Equal(t, tc.status, run(tc.args, &stderr))
			require.Equal(t, tc.stderr, stderr.String())
		})
	}
}

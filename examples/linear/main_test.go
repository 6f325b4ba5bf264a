package main

import "testing"

func TestExamplesLearn(t *testing.T) {
	for name, run := range map[string]func() (float32, error){
		"batch norm": batchNorm, "layer norm": layerNorm, "weight norm": weightNorm,
	} {
		t.Run(name, func(t *testing.T) {
			loss, err := run()
			if err != nil {
				t.Fatal(err)
			}
			if !(loss < 0.001) {
				t.Errorf("final loss %v", loss)
			}
		})
	}
}

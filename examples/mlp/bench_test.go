package main

import (
	"math/rand/v2"
	"testing"

	"github.com/gorgonorm/norm/examples/internal/mnist"
	"github.com/gorgonorm/norm/examples/internal/nn"
	G "gorgonia.org/gorgonia"
)

// BenchmarkStep is a training step of the default model. To see where its time
// goes: go test -run '^$' -bench Step/batch -cpuprofile cpu.prof ./mlp
func BenchmarkStep(b *testing.B) {
	d := &mnist.Dataset{Pixels: 784, Images: make([]byte, 100*784), Labels: make([]byte, 100), Scale: &mnist.Standardized}
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range d.Images {
		d.Images[i] = byte(rng.UintN(256))
	}
	for _, kind := range nn.Kinds {
		b.Run(kind, func(b *testing.B) {
			net, err := newNetwork(kind, d.Pixels, rng)
			if err != nil {
				b.Fatal(err)
			}
			t, err := nn.NewTrainer(net, d.Pixels, 100, G.NewAdamSolver())
			if err != nil {
				b.Fatal(err)
			}
			defer t.Close()
			indices := mnist.Sequence(0, 100)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := t.Step(d, indices); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

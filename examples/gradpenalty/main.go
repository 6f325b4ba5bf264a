// Command gradpenalty trains the critic of a Wasserstein GAN with gradient penalty
// on points in the plane, with layer norm in the critic, and plots its estimate of
// the distance between two clouds of points and the penalty:
//
//	go run ./examples/gradpenalty
//
// The penalty keeps the slope of the critic at 1. It is a function of a gradient,
// so that a step takes the gradient of a gradient, which is what package diff is
// for. The paper asks for layer norm in place of batch norm, since the penalty is
// on the gradient of each point by itself.
//
// Gulrajani et al., "Improved Training of Wasserstein GANs", 2017,
// arXiv:1704.00028v3, algorithm 1.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
)

func main() {
	log.SetFlags(0)
	steps := flag.Int("steps", 400, "training steps")
	out := flag.String("out", filepath.Join("out", "gradpenalty.png"), "where to write the plot")
	flag.Parse()
	history, err := train(*steps, func(step int, h point) {
		if step%50 == 0 || step == *steps-1 {
			fmt.Printf("step %4d  distance %6.3f  penalty %.4f  mean slope %.3f\n", step, h.distance, h.penalty, h.slope)
		}
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(*out), 0o755); err != nil {
		log.Fatal(err)
	}
	if err := plotHistory(*out, history); err != nil {
		log.Fatal(err)
	}
	fmt.Println("wrote", *out)
}

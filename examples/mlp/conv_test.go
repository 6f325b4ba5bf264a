package main

import (
	"context"
	"math/rand/v2"
	"regexp"
	"strconv"
	"testing"

	"github.com/gorgonorm/norm/examples/internal/mnist"
	"github.com/gorgonorm/norm/examples/internal/mnist/mnisttest"
	"github.com/gorgonorm/norm/examples/internal/nn"
	"github.com/gorgonorm/norm/internal/command"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	G "gorgonia.org/gorgonia"
)

// Convolutions, layer by layer: what they give has the shapes that they say, and the
// parameters are shared with the evaluation.
func TestConvNetwork(t *testing.T) {
	for _, kind := range nn.Kinds {
		t.Run(kind, func(t *testing.T) {
			net, err := newConvNetwork(kind, 28*28, rand.New(rand.NewPCG(1, 1)))
			require.NoError(t, err)
			net2, err := net.In(G.NewGraph())
			require.NoError(t, err)
			x := G.NewMatrix(net2.Graph, dt, G.WithName("x"), G.WithShape(3, 28*28))
			y, err := net2.Fwd(x)
			require.NoError(t, err)
			assert.Equal(t, []int{3, mnist.Classes}, []int(y.Shape()))
			a, b := net.Learnables(), net2.Learnables()
			require.Len(t, b, len(a))
			for i := range a {
				a[i].Value().Data().([]float32)[0] = 42
				assert.EqualValues(t, 42, b[i].Value().Data().([]float32)[0], a[i].Name())
			}
		})
	}
}

func TestConvNetworkRefusesOtherImages(t *testing.T) {
	for _, pixels := range []int{27 * 27, 28 * 27, 6 * 6} {
		_, err := newConvNetwork("batch", pixels, rand.New(rand.NewPCG(1, 1)))
		require.ErrorContains(t, err, "squares with sides that are multiples of 4")
	}
}

func TestConvTrainsAnyNorm(t *testing.T) {
	dir := mnisttest.Synthetic(60, 20).Write(t)
	for _, kind := range nn.Kinds {
		status, stdout, stderr := mlp(context.Background(),
			"-net", "conv", "-norm", kind, "-data", dir, "-out", t.TempDir(), "-batch", "20", "-epochs", "1")
		require.Equal(t, command.OK, status, stderr)
		assert.Contains(t, stdout, "conv-"+kind+".png")
	}
}

func TestConvLearnsMNIST(t *testing.T) {
	if testing.Short() {
		t.Skip("trains a convolutional network")
	}
	status, stdout, stderr := mlp(context.Background(),
		"-net", "conv", "-limit", "2000", "-epochs", "1", "-batch", "20", "-out", t.TempDir())
	require.Equal(t, command.OK, status, stderr)
	m := regexp.MustCompile(`epoch +1/1 .* test accuracy ([0-9.]+) %`).FindStringSubmatch(stdout)
	require.NotNil(t, m, stdout)
	accuracy, err := strconv.ParseFloat(m[1], 64)
	require.NoError(t, err)
	assert.Greater(t, accuracy, 85.0)
}

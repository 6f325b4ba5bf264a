package norm_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gorgonorm/norm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// smallModel returns a batch norm, and a state of it and of a linear layer of the user's
// own. In PyTorch the weight of a linear layer is (out, in) and its bias is (out).
func smallModel() (*norm.BatchNorm, norm.State) {
	g := gorgonia.NewGraph()
	w := gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithName("w"), gorgonia.WithShape(2, 3), gorgonia.WithInit(gorgonia.GlorotU(1)))
	b := gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithName("b"), gorgonia.WithShape(1, 3), gorgonia.WithInit(gorgonia.Zeroes()))
	bn := norm.Must(norm.NewBatchNorm(g, tensor.Float32, 3, norm.WithName("bn1")))
	return bn, norm.State{
		norm.Param("fc1.weight", w, norm.Transposed()),
		norm.Param("fc1.bias", b, norm.Reshaped(3)),
		bn,
	}
}

func ExampleSaveFile() {
	dir := norm.Must(os.MkdirTemp("", ""))
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "model.safetensors")

	trained, state := smallModel()
	if err := trained.SetStats([]float64{1, 2, 3}, []float64{4, 5, 6}); err != nil { // in place of training
		panic(err)
	}
	if err := norm.SaveFile(path, state); err != nil {
		panic(err)
	}

	// In another program:
	bn, state := smallModel()
	if err := norm.LoadFile(path, state); err != nil {
		panic(err)
	}
	fmt.Println(bn.Stats())
	// Output: [1 2 3] [4 5 6]
}

// The error names everything that does not fit, and the layer is unchanged.
func ExampleLoad() {
	var file bytes.Buffer
	g := gorgonia.NewGraph()
	saved := norm.Must(norm.NewLayerNorm(g, tensor.Float32, tensor.Shape{4}, norm.WithName("ln1")))
	if err := norm.Save(&file, saved); err != nil {
		panic(err)
	}
	layer := norm.Must(norm.NewLayerNorm(gorgonia.NewGraph(), tensor.Float32, tensor.Shape{5}, norm.WithName("ln1"), norm.WithoutBias()))
	err := norm.Load(&file, layer)
	fmt.Println(err)
	fmt.Println(norm.Is(err, norm.ErrShape), norm.Is(err, norm.ErrState))
	// Output:
	// norm: load: ln1.bias is surplus
	// norm: load: ln1.weight is (4), want (5)
	// true true
}

// A batch norm from a larger model, in float64 and under another name.
func ExampleLoadOptions() {
	var file bytes.Buffer
	g := gorgonia.NewGraph()
	first := norm.Must(norm.NewBatchNorm(g, tensor.Float32, 2, norm.WithName("features.1")))
	second := norm.Must(norm.NewBatchNorm(g, tensor.Float32, 4, norm.WithName("features.4")))
	if err := first.SetStats([]float64{1, 2}, []float64{3, 4}); err != nil {
		panic(err)
	}
	if err := norm.Save(&file, first, second); err != nil {
		panic(err)
	}
	bn := norm.Must(norm.NewBatchNorm(gorgonia.NewGraph(), tensor.Float64, 2, norm.WithName("bn1")))
	options := norm.LoadOptions{
		AllowSurplus: true,
		Convert:      true,
		Rename:       strings.NewReplacer("bn1.", "features.1.").Replace,
	}
	if err := options.Load(&file, bn); err != nil {
		panic(err)
	}
	fmt.Println(bn.Stats())
	// Output: [1 2] [3 4]
}

func ExampleParam() {
	g := gorgonia.NewGraph()
	w := gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithName("w"), gorgonia.WithShape(2, 3),
		gorgonia.WithValue(tensor.New(tensor.WithShape(2, 3), tensor.WithBacking([]float64{1, 2, 3, 4, 5, 6}))))
	var file bytes.Buffer
	if err := norm.Save(&file, norm.Param("fc.weight", w, norm.Transposed())); err != nil {
		panic(err)
	}
	t := gorgonia.NewMatrix(g, tensor.Float64, gorgonia.WithName("t"), gorgonia.WithShape(3, 2), gorgonia.WithInit(gorgonia.Zeroes()))
	if err := norm.Load(&file, norm.Param("fc.weight", t)); err != nil {
		panic(err)
	}
	fmt.Println(t.Value().Data())
	// Output: [1 4 2 5 3 6]
}

package norm

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"unicode/utf8"

	"github.com/gorgonorm/norm/internal/dense"
	"github.com/gorgonorm/norm/internal/fault"
	"github.com/gorgonorm/norm/internal/opname"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// The kinds of errors, for errors.Is, or for Is if they come from a machine or from
// gorgonia.Grad. The errors themselves say what was given and what is wanted.
var (
	ErrShape  = fault.ErrShape  // a shape, a rank or a number of channels does not fit
	ErrDtype  = fault.ErrDtype  // neither float32 nor float64, or not the same everywhere
	ErrOption = fault.ErrOption // eps, momentum or another option is out of its range, or does not fit the layer
	ErrGraph  = fault.ErrGraph  // a nil node or graph, or nodes of different graphs
	ErrName   = fault.ErrName   // a name is taken in the graph, is that of two entries of a state, is missing, or is not UTF-8
	ErrBatch  = fault.ErrBatch  // too few values to take statistics of
	ErrOrder  = fault.ErrOrder  // a third derivative was asked for
	ErrValue  = fault.ErrValue  // a value does not fit its node, or is not valid as an initial value or a statistic
	ErrState  = fault.ErrState  // an entry of a state is missing, or surplus, or there are too many
	ErrFormat = fault.ErrFormat // what is read is damaged, or not safetensors

	ErrInternal = fault.ErrInternal // a bug in this module
)

// Is is errors.Is for errors from a machine's RunAll or from gorgonia.Grad, which
// wrap them in types that errors.Is does not see through.
func Is(err, kind error) bool { return fault.Is(err, kind) }

// Must returns v, or panics if err is not nil. It is for examples and tests.
func Must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Layer is any layer of this package, or one of your own.
type Layer interface {
	Name() string
	Learnables() G.Nodes
}

// layer is what all layers have: a name, and parameters in a graph.
type layer struct {
	kind  string
	name  string
	label string // the layer's name in errors
	graph *G.ExprGraph
	dtype tensor.Dtype

	params   G.Nodes // in the order of their names
	suffixes []string
}

// newLayer checks the graph and the dtype, and finds the layer's name. suffixes are the
// names of its future parameters, without the name of the layer and the dot. The name is
// taken only when the layer is complete: see done.
func newLayer(kind string, g *G.ExprGraph, dt tensor.Dtype, name string, suffixes ...string) (layer, error) {
	l := layer{kind: kind, name: name, label: label(kind, name), graph: g, dtype: dt, suffixes: suffixes}
	if g == nil {
		return l, fault.New(ErrGraph, l.label, "the graph is nil, want one such as gorgonia.NewGraph()")
	}
	if dt != tensor.Float32 && dt != tensor.Float64 {
		return l, fault.New(ErrDtype, l.label, "dtype is %v, want float32 or float64", dt)
	}
	if name != "" {
		return l, l.checkName()
	}
	for i := names.unused(g, kind); ; i++ { // other nodes may have the name too
		if l.name = numbered(kind, i); l.checkName() == nil {
			return l, nil
		}
	}
}

// made checks that a constructor made the layer.
func (l *layer) made() error {
	if l.graph == nil {
		return fault.New(ErrGraph, "layer", "it is a zero value, want a layer that its constructor made")
	}
	return nil
}

// label returns what errors call a layer. name may be "".
func label(kind, name string) string {
	if name == "" || name == kind {
		return kind
	}
	return fmt.Sprintf("%s %q", kind, name)
}

// checkName checks that no layer of the graph has the name, and that the names of the
// parameters are free: Gorgonia would silently merge two inputs of one name. The name has
// to be UTF-8 to be saved in a file. The errors begin with the kind alone, as they quote
// the name.
func (l *layer) checkName() error {
	if !utf8.ValidString(l.name) {
		return fault.New(ErrName, l.kind, "the name is %q, want UTF-8 (WithName)", l.name)
	}
	if names.taken(l.graph, l.name) {
		return fault.New(ErrName, l.kind, "the graph has a layer %q already, want another name (WithName)", l.name)
	}
	for _, s := range l.suffixes {
		if full := l.name + "." + s; len(l.graph.ByName(full)) > 0 {
			return fault.New(ErrName, l.kind, "the graph has a node %q already, want another name (WithName)", full)
		}
	}
	return nil
}

// done takes the name in the graph. It is called when the layer is complete.
func (l *layer) done() {
	names.take(l.graph, l.name)
	if l.label == l.kind {
		l.label = l.name // the generated name begins with the kind
	}
}

// addParams makes the nodes of the parameters, with the values as their storage. It is
// called after everything that can fail, since an error must leave the graph as it was.
func (l *layer) addParams(values ...*tensor.Dense) {
	for i, v := range values {
		l.params = append(l.params, G.NewTensor(l.graph, l.dtype, v.Dims(), G.WithShape(v.Shape()...),
			G.WithName(l.name+"."+l.suffixes[i]), G.WithValue(v)))
	}
}

// values returns the values of the parameters.
func (l *layer) values() ([]*tensor.Dense, error) {
	values := make([]*tensor.Dense, len(l.params))
	for i := range l.params {
		var err error
		if values[i], err = l.value(i); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// value returns the value of parameter i.
func (l *layer) value(i int) (*tensor.Dense, error) {
	if err := l.made(); err != nil {
		return nil, err
	}
	p := l.params[i]
	v, ok := p.Value().(*tensor.Dense)
	if !ok {
		return nil, fault.New(ErrValue, l.label, "%s holds %T, want a dense tensor", p.Name(), p.Value())
	}
	if v.Dims() > 1 && isVector(v, p) && dense.RowMajor(v) {
		v = dense.Reshaped(v, p.Shape())
	}
	return v, nil
}

// isVector says whether a node is a vector and a value has its elements, as (C), (1, C)
// or (C, 1): gorgonia.Let accepts each of these shapes for the others.
func isVector(v *tensor.Dense, of *G.Node) bool {
	return of.Dims() == 1 && v.Shape().Eq(of.Shape())
}

// in makes the same layer in another graph, with the same storage.
func (l *layer) in(g *G.ExprGraph) (layer, error) {
	if err := l.made(); err != nil {
		return layer{}, err
	}
	values, err := l.values()
	if err != nil {
		return layer{}, err
	}
	switch {
	case g == l.graph && g != nil:
		return layer{}, fault.New(ErrName, l.label, "the graph is that of the layer already, want another")
	case names.taken(g, l.name):
		return layer{}, fault.New(ErrName, l.label, "the graph has a layer %q already: of an earlier In, which can be used again, or another, that wants a name of its own (WithName)", l.name)
	}
	other, err := newLayer(l.kind, g, l.dtype, l.name, l.suffixes...)
	if err != nil {
		return other, fault.Of(l.label, err)
	}
	other.label = l.label
	for i, v := range values {
		// A tensor for each graph, as building a machine sets the engines of all values.
		values[i] = dense.Alias(v)
	}
	other.addParams(values...)
	other.done()
	return other, nil
}

// Learnable returns the parameter whose name ends with suffix: "gamma" or "beta" of a
// norm of activations, "v", "g" or "b" of a weight norm, "w" of a spectral norm. It is
// nil if the layer does not have it, as "gamma" after WithoutScale.
func (l *layer) Learnable(suffix string) *G.Node {
	if i := slices.Index(l.suffixes, suffix); i >= 0 {
		return l.params[i]
	}
	return nil
}

// checkInput checks what the ops cannot know when the layer has no parameters.
func (l *layer) checkInput(x *G.Node) error { return l.checkNode("x", x) }

// checkNode checks that a node is there, in the layer's graph and of its dtype.
func (l *layer) checkNode(name string, n *G.Node) error {
	if err := l.made(); err != nil {
		return err
	}
	switch {
	case n == nil:
		return fault.New(ErrGraph, l.label, "%s is nil, want a node", name)
	case n.Graph() != l.graph && n.Graph() != nil: // a constant has no graph; the ops decide about it
		return fault.New(ErrGraph, l.label, "%s belongs to another graph than the layer, want the same", name)
	}
	if t, ok := n.Type().(G.TensorType); ok && t.Of != l.dtype {
		return fault.New(ErrDtype, l.label, "%s is %v, want %v", name, t.Of, l.dtype)
	}
	return nil
}

// checkMask checks that there is a mask; the ops check the rest.
func (l *layer) checkMask(mask *G.Node) error {
	if mask == nil {
		return fault.New(ErrGraph, l.label, "mask is nil, want a node")
	}
	return nil
}

// checkChannels checks the number of channels, which the ops cannot know when the layer
// has no parameters.
func (l *layer) checkChannels(s tensor.Shape, axis, channels int) error {
	axis, err := fault.ChannelAxis(l.label, "x", s, axis)
	if err != nil || s[axis] == channels {
		return nil // the ops report a wrong axis too
	}
	hint := ""
	if l.kind == "batchnorm" && s[len(s)-1] == channels {
		hint = " (or WithChannelAxis(-1))"
	}
	return fault.New(ErrShape, l.label, "x is %v, want %s%s", s, fault.WithChannels(channels, axis), hint)
}

// named names a result after the layer, for drawings of the graph and for errors of a
// run.
func (l *layer) named(y *G.Node, err error) (*G.Node, error) {
	if err != nil {
		return nil, l.wrap(err)
	}
	l.setName(y)
	return y, nil
}

// namedSum is named for the results of a residual sum.
func (l *layer) namedSum(y, sum *G.Node, err error) (_, _ *G.Node, _ error) {
	if err != nil {
		return nil, nil, l.wrap(err)
	}
	if l.setName(y) {
		G.WithName(l.name + ".sum")(sum)
	}
	return y, sum, nil
}

// setName names a result, unless an equal layer has the same result already: then the
// result keeps that layer's name, and setName returns false.
func (l *layer) setName(y *G.Node) bool {
	first := opname.Set(y, l.label)
	if first {
		G.WithName(l.name)(y)
	}
	return first
}

// wrap returns an op's error as one of the layer.
func (l *layer) wrap(err error) error {
	if err == nil {
		return nil
	}
	return cmp.Or(l.made(), fault.Of(l.label, err))
}

// Name returns the layer's name.
func (l *layer) Name() string { return l.name }

// String returns the layer's kind and, if the name differs from it, the name. Summary has
// more.
func (l *layer) String() string { return label(l.kind, l.name) }

// Learnables returns the trainable parameters, always in the same order: pass
// them to gorgonia.Grad, to gorgonia.BindDualValues and, by
// gorgonia.NodesToValueGrads, to a solver. They are input nodes of rank 1 or
// more whose names are unique in the graph. To set one, copy into the tensor that is its
// value: gorgonia.Let would replace that in this graph, and not in those of In.
func (l *layer) Learnables() G.Nodes { return slices.Clone(l.params) }

// Learnables returns the trainable parameters of layers, one layer after the other, for
// gorgonia.Grad and a solver. A node that layers share is returned once, since a solver
// would decay its weights twice. A nil layer has none.
func Learnables(layers ...Layer) (all G.Nodes) {
	for _, l := range layers {
		if !isNil(l) {
			all = append(all, l.Learnables()...)
		}
	}
	return distinct(all)
}

// isNil says whether an interface is nil or holds a nil pointer.
func isNil(x any) bool {
	v := reflect.ValueOf(x)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}

// distinct returns the nodes in order, without repetitions.
func distinct(nodes G.Nodes) (once G.Nodes) {
	seen := map[*G.Node]bool{}
	for _, n := range nodes {
		if !seen[n] {
			seen[n] = true
			once = append(once, n)
		}
	}
	return once
}

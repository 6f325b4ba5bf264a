package norm

import (
	"github.com/gorgonorm/norm/internal/fault"
	"github.com/nlpodyssey/safetensors"
	"gorgonia.org/tensor"
)

// stateNames are PyTorch's names for γ and β.
var stateNames = map[string]string{"gamma": "weight", "beta": "bias"}

// part returns the entries of γ and β. Layers with more have methods of their own.
func (l *layer) part() ([]part, error) {
	var entries []*entry
	for _, s := range l.suffixes {
		e, err := l.parameter(s, stateNames[s])
		if err != nil {
			return nil, err
		}
		e.keras = l.name + "." + s
		entries = append(entries, e)
	}
	return []part{{entries: entries}}, nil
}

func (l *RMSNorm) part() ([]part, error) {
	parts, err := l.layer.part()
	for _, e := range entries(parts) {
		e.keras = l.name + ".scale"
	}
	return parts, err
}

// parameter returns the entry of a parameter. names are those in the file, without the
// layer's.
func (l *layer) parameter(suffix string, names ...string) (*entry, error) {
	n := l.Learnable(suffix)
	e, err := newParameter(l.label, n.Name(), n, false)
	if err != nil {
		return nil, err
	}
	if dt := stateDtype(l.dtype); e.dtype != dt {
		return nil, fault.New(ErrValue, l.label, "%s holds %v, want %v", n.Name(), e.dtype, dt)
	}
	e.names = l.full(names...)
	return e, nil
}

func stateDtype(dt tensor.Dtype) safetensors.DType {
	if dt == tensor.Float32 {
		return safetensors.F32
	}
	return safetensors.F64
}

// full returns the names with the layer's name and a dot before each.
func (l *layer) full(names ...string) []string {
	full := make([]string, len(names))
	for i, n := range names {
		full[i] = l.name + "." + n
	}
	return full
}

// kept returns an entry for values that a layer keeps in float64.
func (l *layer) kept(holds quantity, values floats, names ...string) *entry {
	return &entry{names: l.full(names...), dtype: safetensors.F64, shape: []uint64{uint64(len(values))}, holds: holds, cells: values}
}

func (l *channelLayer) part() ([]part, error) {
	parts, err := l.layer.part()
	if err != nil || l.stats == nil {
		return parts, err
	}
	m, v, n := l.stats.Values()
	mean, vari := l.kept(statistic, m, "running_mean"), l.kept(variance, v, "running_var")
	mean.keras, vari.keras = l.name+".moving_mean", l.name+".moving_variance"
	count := floats{float64(n)}
	number := l.kept(batches, count, "num_batches_tracked")
	number.dtype, number.shape = safetensors.I64, []uint64{}
	number.optional = true // PyTorch's strict loading does not require it either
	return append(parts, part{
		entries: []*entry{mean, vari, number},
		commit:  func(func(*entry) bool) { l.stats.Set(m, v, int64(count[0])) }, // no error: the values have been checked
	}), nil
}

// lengthAndDirection returns the entries of g and v. The layer's g has one axis.
// PyTorch's has the rank of v, or no axes for the norm of the whole tensor.
func (l *layer) lengthAndDirection(axis int) ([]*entry, error) {
	g, err := l.parameter("g", "weight_g", "parametrizations.weight.original0")
	if err != nil {
		return nil, err
	}
	v, err := l.parameter("v", "weight_v", "parametrizations.weight.original1")
	if err != nil {
		return nil, err
	}
	channels := g.shape[0]
	g.shape = []uint64{}
	if axis != WholeTensor {
		for range v.shape {
			g.shape = append(g.shape, 1)
		}
		g.shape[axis] = channels
	}
	return []*entry{g, v}, nil
}

func (l *WeightNorm) part() ([]part, error) {
	entries, err := l.lengthAndDirection(l.cfg.Axis)
	return []part{{entries: entries}}, err
}

func (l *WeightNormLinear) part() ([]part, error) {
	entries, err := l.lengthAndDirection(l.cfg.Axis)
	if err != nil || l.Learnable("b") == nil {
		return []part{{entries: entries}}, err
	}
	b, err := l.parameter("b", "bias")
	return []part{{entries: append(entries, b)}}, err
}

func (l *SpectralNorm) part() ([]part, error) {
	w, err := l.parameter("w", "parametrizations.weight.original", "weight_orig")
	if err != nil {
		return nil, err
	}
	value, err := l.value(0) // in the shape of the node, as it may be a row or a column
	if err != nil {
		return nil, err
	}
	left, right := l.vectors.Values()
	u := l.kept(statistic, left, "parametrizations.weight.0._u", "weight_u")
	v := l.kept(statistic, right, "parametrizations.weight.0._v", "weight_v")
	u.optional = len(w.shape) == 1 // PyTorch's parametrization saves none then
	v.optional = u.optional
	return []part{{
		entries: []*entry{w, u, v},
		commit: func(read func(*entry) bool) { // no error: the values have been checked
			// A vector of another weight, or of zeros, makes σ meaningless.
			if !(read(u) && read(v)) || l.vectors.Set(left, right) != nil {
				l.vectors.Restart(value)
			}
		},
	}}, nil
}

var _ = []Stateful{
	(*BatchNorm)(nil), (*LayerNorm)(nil), (*RMSNorm)(nil), (*GroupNorm)(nil), (*InstanceNorm)(nil),
	(*WeightNorm)(nil), (*WeightNormLinear)(nil), (*SpectralNorm)(nil), (*param)(nil), State(nil),
}

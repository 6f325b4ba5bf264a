package norm

import (
	"fmt"
	"math"
	"strings"
	"text/tabwriter"

	G "gorgonia.org/gorgonia"
)

// Summary returns a table to print, with a line for each layer: its name, kind, dtype,
// parameters with their shapes and the number of their elements, the smallest and the
// largest running mean and variance over the channels, the number of batches in them, and
// the mode of the layer in its graph. What a layer does not have is "-". A parameter
// without a value is marked as such, and NaN statistics are shown as NaN. The last line
// has the number of elements of all parameters, counting each node once.
func Summary(layers ...Layer) string {
	var s strings.Builder
	w := tabwriter.NewWriter(&s, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tKIND\tDTYPE\tPARAMETERS\tNUMBER\tRUNNING MEAN\tRUNNING VARIANCE\tBATCHES\tMODE")
	var all row
	for _, l := range layers {
		r := rowOf(l)
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\n", r.name, r.kind, r.dtype, r.shapes(), r.number(), r.mean, r.variance, r.batches, r.mode)
		all.params = append(all.params, r.params...)
	}
	all.params = distinct(all.params)
	fmt.Fprintf(w, "total\t\t\t\t%d\n", all.number())
	w.Flush()
	return s.String()
}

// row is a line of a summary.
type row struct {
	name, kind, dtype       string
	params                  G.Nodes
	mean, variance, batches string
	mode                    string
}

// rowOf returns the line of a layer in any state, even if no constructor made it.
func rowOf(l Layer) row {
	r := row{name: "-", kind: "-", dtype: "-", mean: "-", variance: "-", batches: "-", mode: "-"}
	if l == nil {
		r.kind = "nil"
		return r
	}
	if isNil(l) {
		r.kind = fmt.Sprintf("nil %T", l)
		return r
	}
	r.name, r.kind, r.params = l.Name(), fmt.Sprintf("%T", l), l.Learnables()
	if r.name == "" {
		r.name = "-"
	}
	if own, ok := l.(interface{ summarize(*row) }); ok {
		own.summarize(&r)
	} else if len(r.params) > 0 && r.params[0] != nil {
		r.dtype = r.params[0].Dtype().String()
	}
	return r
}

// number returns how many elements the parameters have.
func (r *row) number() (n int) {
	for _, p := range r.params {
		n += size(p)
	}
	return n
}

// size returns how many elements a parameter has.
func size(p *G.Node) int {
	if p == nil {
		return 0
	}
	return p.Shape().TotalSize()
}

// shapes returns the parameters with their shapes, without the layer's name.
func (r *row) shapes() string {
	if len(r.params) == 0 {
		return "-"
	}
	words := make([]string, len(r.params))
	for i, p := range r.params {
		if p == nil {
			words[i] = "nil"
			continue
		}
		words[i] = fmt.Sprintf("%s %v", strings.TrimPrefix(p.Name(), r.name+"."), p.Shape())
		if p.Value() == nil {
			words[i] += " without value"
		}
	}
	return strings.Join(words, ", ")
}

func (l *layer) summarize(r *row) {
	if l.kind == "" {
		return // no constructor made it
	}
	r.kind, r.dtype = l.kind, l.dtype.String()
}

func (l *channelLayer) summarize(r *row) {
	l.layer.summarize(r)
	if l.stats == nil {
		return
	}
	mean, variance, batches := l.stats.Values()
	r.mean, r.variance, r.batches = span(mean), span(variance), fmt.Sprint(batches)
	r.mode = mode(l.stats.Training(l.graph))
}

func (l *SpectralNorm) summarize(r *row) {
	l.layer.summarize(r)
	if l.vectors != nil {
		r.mode = mode(l.vectors.Training(l.graph))
	}
}

// mode returns the result of Training in words.
func mode(training, applied bool) string {
	switch {
	case !applied:
		return "not applied"
	case training:
		return "training"
	default:
		return "evaluation"
	}
}

// span returns the smallest and the largest of the values, as text.
func span(values []float64) string {
	least, most := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		least, most = min(least, v), max(most, v) // NaN if one is
	}
	if math.IsNaN(least) {
		return "NaN"
	}
	return fmt.Sprintf("%.3g to %.3g", least, most)
}

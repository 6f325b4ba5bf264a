package kernel

// Norms of data with padding. A mask has an entry for each of the Outer·Inner
// positions of a View, at which every channel has an element; it is 0 where these
// are padding. They do not count, whatever they are, NaN included, and results
// are 0 there. A nil mask is for data without padding.
//
// What counts is packed, a few channels at a time, which the cache keeps; the norm
// is that of the packed data; and its results are put back.

// valid are the positions of a view that count.
type valid struct {
	View
	n     int // how many
	spans *Scratch[span]
}

// A span is a run of positions that all count or all do not.
type span struct {
	from, n int
	counts  bool
}

// validOf reads a mask. Spans end where a run of the view does.
func validOf[T Float](mask []T, v View) valid {
	a := valid{View: v, spans: Borrow[span](0)}
	a.spans.Data = a.spans.all[:0]
	for from := 0; from < len(mask); {
		to, end := from+1, len(mask)
		if v.Inner > 1 {
			end = from - from%v.Inner + v.Inner
		}
		counts := mask[from] != 0
		for to < end && (mask[to] != 0) == counts {
			to++
		}
		a.spans.append(span{from, to - from, counts})
		if counts {
			a.n += to - from
		}
		from = to
	}
	return a
}

func (a *valid) release() { a.spans.Release() }

// append adds an element, for scratch whose length is not known before.
func (s *Scratch[T]) append(v T) {
	s.Data = append(s.Data, v)
	s.all = s.Data[:cap(s.Data)]
}

// A band is some of the channels.
type band struct {
	valid
	channel, channels int
}

// packLen is how many elements are packed at a time, and packColumns how many
// channels at least where each row of them is copied by itself.
const (
	packLen     = 1 << 15
	packColumns = 64
)

// width is how many channels a band has, but for the last one.
func (a *valid) width() int {
	w := packLen / max(1, a.n)
	if a.Inner == 1 {
		w = max(packColumns, w&^(pad-1))
	}
	return min(max(1, w), a.Channels)
}

func (a *valid) bands() int { return ceilDiv(a.Channels, a.width()) }

// band returns number i.
func (a *valid) band(i int) band {
	w := a.width()
	return band{*a, i * w, min(w, a.Channels-i*w)}
}

// packed is the view of what is packed of a band.
func (b band) packed() View {
	if b.Inner == 1 {
		return View{b.n, b.channels, 1}
	}
	return View{1, b.channels, b.n}
}

// block is the part of a view of some channels that is a span.
func (v View) block(s span, channel, channels int) block {
	if v.Inner == 1 {
		return block{at: s.from*v.Channels + channel, channels: channels, rows: s.n, stride: v.Channels, inner: 1, pitch: 1}
	}
	outer, inner := s.from/v.Inner, s.from%v.Inner
	return block{at: (outer*v.Channels+channel)*v.Inner + inner, channels: channels, rows: 1, inner: s.n, pitch: v.Inner}
}

// pack returns what counts of a band.
func pack[T Float](b band, src []T) *Scratch[T] {
	p := b.packed()
	dst := Borrow[T](p.Len())
	at := 0
	for _, s := range b.spans.Data {
		if s.counts {
			copyBlock(dst.Data, p.block(span{from: at, n: s.n}, 0, b.channels), src, b.block(s, b.channel, b.channels))
			at += s.n
		}
	}
	return dst
}

// unpack puts back what counts of a band and zeros where there is padding, and
// releases src.
func unpack[T Float](b band, dst []T, src *Scratch[T]) {
	p := b.packed()
	at := 0
	for _, s := range b.spans.Data {
		to := b.block(s, b.channel, b.channels)
		if !s.counts {
			clearBlock(dst, to)
			continue
		}
		copyBlock(dst, to, src.Data, p.block(span{from: at, n: s.n}, 0, b.channels))
		at += s.n
	}
	src.Release()
}

// copyBlock copies a block into another of its size.
func copyBlock[T Float](dst []T, to block, src []T, from block) {
	if to.columns() && from.columns() {
		for r := range from.rows {
			copy(dst[to.at+r*to.stride:][:to.channels], src[from.at+r*from.stride:])
		}
		return
	}
	for c := range from.channels {
		copy(dst[to.at+c*to.pitch:][:to.inner], src[from.at+c*from.pitch:])
	}
}

func clearBlock[T Float](dst []T, b block) {
	for at := range b.eachRow {
		if b.columns() {
			clear(dst[at:][:b.channels])
			continue
		}
		for c := range b.channels {
			clear(dst[at+c*b.pitch:][:b.inner])
		}
	}
}

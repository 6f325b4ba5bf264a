package norm_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gorgonorm/norm"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"
)

// damagedFiles are damaged files of newBN, by what is wrong with them.
func damagedFiles() map[string][]byte {
	sound := file(soundBatchNorm()...)
	n := binary.LittleEndian.Uint64(sound)
	head, data := string(sound[8:8+n]), sound[8+n:]
	length := func(n uint64) []byte { return append(binary.LittleEndian.AppendUint64(nil, n), sound[8:]...) }
	changed := func(old, new string) []byte {
		if !strings.Contains(head, old) {
			panic(old + " is not in " + head)
		}
		return withHeader(strings.Replace(head, old, new, 1), data)
	}
	entry := func(name, dtype, shape, offsets string) string {
		return fmt.Sprintf(`%q:{"dtype":%q,"shape":%s,"data_offsets":%s}`, name, dtype, shape, offsets)
	}
	max := fmt.Sprint(uint64(math.MaxUint64))
	return map[string][]byte{
		"empty":                  {},
		"a length alone":         length(n)[:8],
		"header of 0 bytes":      append(make([]byte, 8), sound[8:]...),
		"header of 1 GB":         length(1 << 30),
		"header of all":          length(math.MaxUint64),
		"header of 16 MB":        length(16 << 20),
		"header too short":       length(n - 1),
		"header too long":        length(n + 1),
		"magic of a zip":         append([]byte("PK\x03\x04"), sound...),
		"magic of a pickle":      append([]byte("\x80\x02}q\x00"), sound...),
		"something after":        append(slices.Clone(sound), 0),
		"null":                   withHeader("null", nil),
		"array":                  withHeader("[]", nil),
		"no JSON":                withHeader("{{", nil),
		"two objects":            withHeader(head+"{}", data),
		"cut header":             withHeader(head[:len(head)-1], data),
		"entry is a number":      changed(`"bn.bias":{`, `"bn.other":3,"bn.bias":{`),
		"entry is null":          changed(`"bn.bias":{`, `"bn.other":null,"bn.bias":{`),
		"nested":                 withHeader(strings.Repeat(`{"a":`, 20000)+"1"+strings.Repeat("}", 20000), data),
		"nested shape":           changed(`"shape":[2]`, `"shape":`+strings.Repeat("[", 20000)+strings.Repeat("]", 20000)),
		"unknown dtype":          changed(`"dtype":"F32"`, `"dtype":"F33"`),
		"no dtype":               changed(`"dtype":"F32",`, ``),
		"more in an entry":       changed(`"dtype":"F32",`, `"dtype":"F32","stride":[1],`),
		"shape lies":             changed(`"shape":[2]`, `"shape":[3]`),
		"shape is huge":          changed(`"shape":[2]`, `"shape":[1000000000000]`),
		"shape overflows":        changed(`"shape":[2]`, `"shape":[4294967296,4294967296,2]`),
		"shape overflows to fit": changed(`"shape":[2]`, `"shape":[4611686018427387906]`), // ·4 overflows to 8 in 64 bits
		"shape is negative":      changed(`"shape":[2]`, `"shape":[-2]`),
		"shape is a fraction":    changed(`"shape":[2]`, `"shape":[2.0]`),
		"shape is a text":        changed(`"shape":[2]`, `"shape":"2"`),
		"shape is null":          changed(`"shape":[2]`, `"shape":null`),
		"zero shape":             changed(`"shape":[2]`, `"shape":[0,`+max+`,`+max+`]`),
		"offsets overlap":        changed(`"data_offsets":[8,16]`, `"data_offsets":[0,8]`),
		"offsets leave a gap":    changed(`"data_offsets":[8,16]`, `"data_offsets":[9,17]`),
		"offsets go back":        changed(`"data_offsets":[8,16]`, `"data_offsets":[16,8]`),
		"offsets are huge":       changed(`"data_offsets":[32,40]`, `"data_offsets":[32,`+max+`]`),
		"one offset":             changed(`"data_offsets":[8,16]`, `"data_offsets":[8]`),
		// The sizes 8 and 2⁶⁴−8 add up to 0 in 64 bits, which is all the data of the
		// file.
		"offsets wrap around": withHeader("{"+
			entry("bn.weight", "F32", "[2]", "[0,8]")+","+
			entry("bn.bias", "U8", "[18446744073709551608]", "[8,0]")+"}", nil),
		"all of memory":          withHeader("{"+entry("bn.weight", "U8", "["+max+"]", "[0,"+max+"]")+"}", nil),
		"a terabyte":             withHeader("{"+entry("bn.weight", "F32", "[274877906944]", "[0,1099511627776]")+"}", data),
		"a terabyte of another":  withHeader("{"+entry("bn.other", "F32", "[274877906944]", "[0,1099511627776]")+"}", data),
		"a name twice":           changed(`"bn.bias":{`, `"bn.bias":{"dtype":"F32","shape":[2],"data_offsets":[8,16]},"bn.bias":{`),
		"a name twice by escape": changed(`"bn.bias":{`, `"bn.bi\u0061s":{"dtype":"F32","shape":[2],"data_offsets":[8,16]},"bn.bias":{`),
		"two names in bad text":  changed(`"bn.bias":{`, "\"a\xff\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]},\"a\xfe\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]},\"bn.bias\":{"),
		"a key twice":            changed(`"shape":[2]`, `"shape":[2],"shape":[2]`),
		"a long shape":           changed(`"shape":[2]`, `"shape":[3`+strings.Repeat(`,1`, 3000)+`]`),
		"a long dtype":           changed(`"dtype":"F32"`, `"dtype":"F32`+strings.Repeat("é", 3000)+`"`),
		"metadata is not text":   changed(`"format":"pt"`, `"format":1`),
	}
}

// Loading a damaged file is an error that says so, takes little memory, and changes
// nothing, whatever the options.
func TestLoadDamaged(t *testing.T) {
	files := damagedFiles()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		for _, o := range []norm.LoadOptions{{}, {AllowMissing: true, AllowSurplus: true, Convert: true}} {
			bn := newBN(t)
			var err error
			bytes := allocated(func() { err = o.Load(bytes.NewReader(files[name]), bn) })
			require.Error(t, err, name)
			// These files are sound as far as they go, but have another shape or dtype,
			// or other names.
			isModel := slices.Contains([]string{"a terabyte", "a terabyte of another", "all of memory", "unknown dtype", "a long dtype"}, name)
			require.Equal(t, !isModel, errors.Is(err, norm.ErrFormat), "%s: %v", name, err)
			if strings.HasPrefix(name, "header of 1 GB") {
				require.EqualError(t, err, "norm: load: the header has 1073741824 bytes, want at most 16777216, or this is not a safetensors file")
			}
			require.Less(t, len(err.Error()), 500, name)
			require.Less(t, bytes, uint64(2<<20), name)
			require.Equal(t, fresh, whole(bn), name)
		}
	}
}

// Errors quote names from a file that could be mistaken for their own text, and shorten
// long ones.
func TestLoadShowsNames(t *testing.T) {
	for name, want := range map[string]string{
		"fc.größe":                "fc.größe",
		"":                        `""`,
		"a\x1b[2J\nnorm: loaded":  `"a\x1b[2J\nnorm: loaded"`,
		strings.Repeat("x", 1000): strings.Repeat("x", 200) + "...",
	} {
		err := norm.Load(bytes.NewReader(file(append(soundBatchNorm(), block{name, "F32", []int{1}, f32s(1)})...)), newBN(t))
		require.EqualError(t, err, "norm: load: "+want+" is surplus")

		all := file(append([]block{{name, "F32", []int{1}, f32s(1)}}, soundBatchNorm()...)...)
		n := 8 + binary.LittleEndian.Uint64(all)
		err = norm.LoadOptions{AllowSurplus: true}.Load(bytes.NewReader(all[:n]), newBN(t))
		require.EqualError(t, err, "norm: load: the file ends inside "+want)
	}

	long := withHeader(`{"bn.weight":{"dtype":"F32","shape":[2`+strings.Repeat(",1", 1000)+`],"data_offsets":[0,8]}}`, f32s(1, 2))
	err := norm.LoadOptions{AllowMissing: true}.Load(bytes.NewReader(long), newBN(t))
	require.EqualError(t, err, "norm: load: bn.weight is (2"+strings.Repeat(", 1", 66)+"..., want (2)")
}

// Entries that are ignored are not trusted either.
func TestLoadSkipsNoMoreThanThereIs(t *testing.T) {
	for _, n := range []uint64{1 << 40, 1 << 63, math.MaxUint64 - 40} {
		sound := file(soundBatchNorm()...)
		head, data := sound[9:8+binary.LittleEndian.Uint64(sound)], sound[8+binary.LittleEndian.Uint64(sound):]
		other := fmt.Sprintf(`{"other":{"dtype":"U8","shape":[%d],"data_offsets":[40,%d]},`, n, 40+n)
		bn := newBN(t)
		err := norm.LoadOptions{AllowSurplus: true}.Load(bytes.NewReader(withHeader(other+string(head), data)), bn)
		require.ErrorIs(t, err, norm.ErrFormat)
		require.ErrorContains(t, err, "other")
		require.Equal(t, fresh, whole(bn))
	}
}

// A large header takes memory in proportion, and most of it is freed at once.
func TestLoadLargeHeader(t *testing.T) {
	const metadata = `{"__metadata__":{`
	for name, c := range map[string]struct {
		begin, more string
		most        int // times the header
	}{
		"long names":  {"{", `"model.layers.%x.self_attn.q_proj.weight":{"dtype":"F32","shape":[0,4096],"data_offsets":[40,40]},`, 12},
		"short names": {"{", `"%x":{"dtype":"U8","shape":[0],"data_offsets":[40,40]},`, 12},
		"many axes":   {"{", `"%x":{"dtype":"F32","shape":[` + strings.Repeat("0,", 1000) + `0],"data_offsets":[40,40]},`, 12},
		"no entries":  {metadata, strings.Repeat(`"data_offsets":"",`, 1000) + `"":"%x",`, 6},
	} {
		sound := file(soundBatchNorm()...)
		n := 8 + binary.LittleEndian.Uint64(sound)
		header := []byte(c.begin)
		for i := 0; len(header) < 4<<20; i++ {
			header = fmt.Appendf(header, c.more, i)
		}
		header = append(header, bytes.TrimPrefix(sound[8:n], []byte(c.begin))...)
		large := withHeader(string(header), sound[n:])
		for _, o := range []norm.LoadOptions{{AllowSurplus: true}, {}} {
			bn := newBN(t)
			var err error
			bytes := allocated(func() { err = o.Load(bytes.NewReader(large), bn) })
			t.Logf("%s: %.3g of the header", name, float64(bytes)/float64(len(header)))
			require.Less(t, bytes, uint64(c.most*len(header)), name)
			if o.AllowSurplus || c.begin == metadata {
				require.NoError(t, err)
				require.Equal(t, []float64{3, 4, 5, 6, 7, 8, 9, 10, 11}, whole(bn))
			} else {
				require.ErrorIs(t, err, norm.ErrState)
			}
		}
	}
}

// allocated returns how much memory f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// A header may be as long as the limit. If it is cut off, that is an error there too.
func TestLoadHeaderLimit(t *testing.T) {
	const limit = 16 << 20
	sound := file(soundBatchNorm()...)
	n := 8 + binary.LittleEndian.Uint64(sound)
	padded := func(size int) []byte {
		return withHeader(string(sound[8:n])+strings.Repeat(" ", size+8-int(n)), sound[n:])
	}
	path := filepath.Join(t.TempDir(), "bn")
	for _, c := range []struct {
		file []byte
		want string
	}{
		{padded(limit + 1), "the header has 16777217 bytes, want at most 16777216, or this is not a safetensors file"},
		{padded(limit)[:limit], "the file ends inside the header"},
		{padded(limit)[:8+limit], "the file ends inside bn.weight"},
		{padded(limit), ""},
	} {
		bn := newBN(t)
		require.NoError(t, os.WriteFile(path, c.file, 0o600))
		err := norm.LoadFile(path, bn)
		if c.want == "" {
			require.NoError(t, err)
			continue
		}
		require.EqualError(t, err, "norm: load "+path+": "+c.want)
		require.ErrorIs(t, err, norm.ErrFormat)
		require.Equal(t, fresh, whole(bn))
	}
}

// A file of every layer is cut off at each 100th byte.
func TestLoadTruncated(t *testing.T) {
	sound := saved(t, newModel(tensor.Float32, 1).state())
	m := newModel(tensor.Float32, 2)
	before := saved(t, m.state())
	for n := 0; n < len(sound); n += 100 {
		err := norm.Load(bytes.NewReader(sound[:n]), m.state())
		require.ErrorIs(t, err, norm.ErrFormat, n)
		require.ErrorContains(t, err, "the file ends inside", n)
		require.Equal(t, before, saved(t, m.state()), n)
	}
	require.ErrorIs(t, norm.Load(bytes.NewReader(sound[:len(sound)-1]), m.state()), norm.ErrFormat)
	require.NoError(t, norm.Load(bytes.NewReader(sound), m.state()))
}

// Whatever the bytes, loading is an error that changes nothing, or leaves a sound
// state that can be saved and loaded.
func FuzzLoad(f *testing.F) {
	f.Add(file(soundBatchNorm()...))
	f.Add(saved(f, newBN(f)))
	for _, b := range damagedFiles() {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, o := range []norm.LoadOptions{{}, {AllowMissing: true, AllowSurplus: true, Convert: true}, {Keras: true}} {
			bn := newBN(t)
			err := o.Load(bytes.NewReader(b), bn)
			if err != nil {
				require.Equal(t, fresh, whole(bn), "changed after %v", err)
				continue
			}
			for i, x := range whole(bn) {
				require.False(t, math.IsNaN(x) || math.IsInf(x, 0), i)
			}
			_, variance := bn.Stats()
			require.GreaterOrEqual(t, slices.Min(variance), 0.0)
			again := saved(t, bn)
			require.NoError(t, norm.Load(bytes.NewReader(again), bn))
			require.Equal(t, again, saved(t, bn))
		}
	})
}

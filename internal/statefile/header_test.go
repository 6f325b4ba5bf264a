package statefile

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/nlpodyssey/safetensors"
	"github.com/stretchr/testify/require"
)

const entry = `{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}`

func wanted(name string) []Entry {
	return []Entry{{Name: name, TensorInfo: safetensors.TensorInfo{DType: safetensors.F32, Shape: []uint64{2, 3}, DataOffsets: [2]uint64{0, 24}}}}
}

// sound are valid headers, with the freedom that JSON allows.
var sound = map[string][]Entry{
	`{}`:                              nil,
	" \t\r\n{ \n} ":                   nil,
	`{"__metadata__":{}}`:             nil,
	`{"a":` + entry + `}`:             wanted("a"),
	`{"":` + entry + `}`:              wanted(""),
	`{"größe":` + entry + `}`:         wanted("größe"),
	`{"a\"]}\u0062\\":` + entry + `}`: wanted(`a"]}b\`),
	`{"a":` + entry + `,"__metadata__":{"format":"pt","{\\\"":"}\\\"\\"}}`:                               wanted("a"),
	`{"a":{"data_offsets":[0,24],"shape":[2,3],"\u0064type":"F\u00332"}}`:                                wanted("a"),
	" { \"a\" : { \"dtype\" : \"F32\" , \"shape\" : [ 2 ,\n3 ] , \"data_offsets\" :\t[ 0 ,\r\n24 ] } } ": wanted("a"),
	`{"a":{"dtype":"I64","shape":[ ],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[18446744073709551615],"data_offsets":[8,1]}}`: {
		{Name: "a", TensorInfo: safetensors.TensorInfo{DType: safetensors.I64, Shape: []uint64{}, DataOffsets: [2]uint64{0, 8}}},
		{Name: "b", TensorInfo: safetensors.TensorInfo{DType: safetensors.U8, Shape: []uint64{1<<64 - 1}, DataOffsets: [2]uint64{8, 1}}},
	},
	`{"a":{"dtype":"F8_E4M3","shape":[],"data_offsets":[0,1]}}`: {
		{Name: "a", TensorInfo: safetensors.TensorInfo{Shape: []uint64{}, DataOffsets: [2]uint64{0, 1}}, Unknown: "F8_E4M3"},
	},
}

func TestParse(t *testing.T) {
	for text, want := range sound {
		got, err := parse([]byte(text))
		require.NoError(t, err, text)
		if want == nil {
			want = []Entry{}
		}
		require.Equal(t, want, got, text) // in the order of the text
	}
}

func TestParseUnsound(t *testing.T) {
	for text, want := range map[string]string{
		``:                         "the header is not JSON",
		`{"a":` + entry + `}}`:     "the header is not JSON",
		`{"a":` + entry + `,}`:     "the header is not JSON",
		"{\"\xff\":" + entry + "}": "the header is not UTF-8",
		`[]`:                       "the header is not a JSON object",
		`{"a` + "\u202e" + `":1}`:  `"a\u202e" is not a JSON object`,
		`{"a":` + entry + `,"\u0061":` + entry + `}`:                               `the header has a twice`,
		`{"__metadata__":{},"__metadata__":{}}`:                                    `the header has __metadata__ twice`,
		`{"__metadata__":null}`:                                                    "__metadata__ is not a JSON object",
		`{"__metadata__":{"a":{}}}`:                                                `__metadata__: a is not text`,
		`{"a":{"dtype":"","shape":[],"data_offsets":[0,1]}}`:                       "a has no sound dtype",
		`{"":{"dtype":3,"shape":[],"data_offsets":[0,1]}}`:                         `"" has no sound dtype`,
		`{"a":{"dtype":3,"shape":[],"data_offsets":[0,1]}}`:                        "a has no sound dtype",
		`{"a":{"DType":"U8","shape":[],"data_offsets":[0,1]}}`:                     `a has the unknown key DType, want dtype, shape and data_offsets`,
		`{"a":{"dtype":"U8","dtype":"U8","shape":[],"data_offsets":[0,1]}}`:        `a has dtype twice`,
		`{"a":{"dtype":"U8","shape":[]}}`:                                          "a has no data_offsets",
		`{"a":{}}`:                                                                 "a has no dtype",
		`{"a":{"shape":["]"],"dtype":"U8","data_offsets":[0,1]}}`:                  "a has no sound shape",
		`{"a":{"shape":[[1]],"dtype":"U8","data_offsets":[0,1]}}`:                  "a has no sound shape",
		`{"a":{"shape":{"0":1},"dtype":"U8","data_offsets":[0,1]}}`:                "a has no sound shape",
		`{"a":{"shape":[1e0],"dtype":"U8","data_offsets":[0,1]}}`:                  "a has no sound shape",
		`{"a":{"shape":[18446744073709551616],"dtype":"U8","data_offsets":[0,1]}}`: "a has no sound shape",
		`{"a":{"shape":[1],"dtype":"U8","data_offsets":[0,1,2]}}`:                  "a has no sound data_offsets",
		`{"a":{"shape":[1],"dtype":"U8","data_offsets":[]}}`:                       "a has no sound data_offsets",
		`{"` + strings.Repeat("é", 300) + `":` + strings.Repeat("[", 20000):        "the header is not JSON",
		`{"` + strings.Repeat("é", 300) + `":1}`:                                   strings.Repeat("é", 100) + "... is not a JSON object",
	} {
		_, err := parse([]byte(text))
		require.EqualError(t, err, "norm: load: "+want, text)
	}
}

// The parser gives the same as the library of the format, which knows fewer dtypes.
func FuzzParse(f *testing.F) {
	for text := range sound {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, header []byte) {
		entries, err := parse(header)
		if err != nil {
			return
		}
		if slices.ContainsFunc(entries, func(e Entry) bool { return e.Unknown != "" }) {
			return
		}
		var m safetensors.Metadata
		require.NoError(t, json.Unmarshal(header, &m))
		want := m.Tensors()
		require.Len(t, entries, len(want))
		for _, e := range entries {
			require.Equal(t, *want[e.Name], e.TensorInfo, e.Name)
		}
	})
}

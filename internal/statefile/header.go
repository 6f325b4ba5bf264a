package statefile

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/nlpodyssey/safetensors"
)

// parse returns the tensors of a header in their order in the text. encoding/json would
// take 40 times the header in memory, and of two tensors of the same name silently keep
// one.
func parse(header []byte) ([]Entry, error) {
	switch {
	case !utf8.Valid(header):
		return nil, damaged("the header is not UTF-8")
	case !json.Valid(header):
		return nil, damaged("the header is not JSON")
	}
	// Metadata may contain the key too, but cannot have more entries than fit into the
	// header.
	p, n := parser{header}, min(bytes.Count(header, []byte(`"data_offsets"`)), len(header)/shortestEntry+1)
	entries, names := make([]Entry, 0, n), make(map[string]bool, n)
	err := p.object("the header", func(b []byte) error {
		name := string(b)
		if names[name] {
			return damaged("the header has %s twice", Shown(name))
		}
		names[name] = true
		if name == "__metadata__" {
			return p.metadata()
		}
		e, err := p.entry(name)
		entries = append(entries, e)
		return err
	})
	return entries, err
}

// shortestEntry is the length of the shortest possible entry, in bytes.
const shortestEntry = len(`"":{"dtype":"?","shape":[],"data_offsets":[0,0]}`)

// parser parses the rest of a text. The text has been checked to be JSON, so each value
// has an end, and the parser need not look for what JSON forbids.
type parser struct{ rest []byte }

// object calls f with each name in an object. f has to consume the value.
func (p *parser) object(what string, f func(name []byte) error) error {
	if !p.skip('{') {
		return damaged("%s is not a JSON object", Shown(what))
	}
	for !p.skip('}') {
		p.skip(',')
		name, _ := p.text()
		p.skip(':')
		if err := f(name); err != nil {
			return err
		}
	}
	return nil
}

// metadata skips an object whose values have to be strings.
func (p *parser) metadata() error {
	return p.object("__metadata__", func(name []byte) error {
		if _, ok := p.text(); !ok {
			return damaged("__metadata__: %s is not text", Shown(string(name)))
		}
		return nil
	})
}

// entryKeys are the keys of an entry. Each has to occur once.
var entryKeys = [...]string{"dtype", "shape", "data_offsets"}

func (p *parser) entry(name string) (Entry, error) {
	e := Entry{Name: name}
	var seen [len(entryKeys)]bool
	err := p.object(name, func(key []byte) error {
		i := slices.Index(entryKeys[:], string(key))
		switch {
		case i < 0:
			return damaged("%s has the unknown key %s, want dtype, shape and data_offsets", Shown(name), Shown(string(key)))
		case seen[i]:
			return damaged("%s has %s twice", Shown(name), key)
		}
		seen[i] = true
		ok := false
		switch entryKeys[i] {
		case "dtype":
			var text []byte
			if text, ok = p.text(); ok {
				var err error
				if e.DType, err = safetensors.ParseDType(string(text)); err != nil {
					e.Unknown, ok = string(text), len(text) > 0
				}
			}
		case "shape":
			e.Shape, ok = p.numbers()
		case "data_offsets":
			e.DataOffsets, ok = p.pair()
		}
		if !ok {
			return damaged("%s has no sound %s", Shown(name), key)
		}
		return nil
	})
	if i := slices.Index(seen[:], false); err == nil && i >= 0 {
		err = damaged("%s has no %s", Shown(name), entryKeys[i])
	}
	return e, err
}

func (p *parser) pair() (pair [2]uint64, ok bool) {
	n, ok := p.numbers()
	if !ok || len(n) != 2 {
		return pair, false
	}
	return [2]uint64(n), true
}

// skip skips white space and, if it is next, c.
func (p *parser) skip(c byte) bool {
	p.rest = bytes.TrimLeft(p.rest, " \t\r\n")
	if len(p.rest) == 0 || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

// text returns a string, if one is next.
func (p *parser) text() ([]byte, bool) {
	if !p.skip('"') {
		return nil, false
	}
	end := 0
	for p.rest[end] != '"' {
		if p.rest[end] == '\\' {
			end++
		}
		end++
	}
	text := p.rest[:end]
	p.rest = p.rest[end+1:]
	if bytes.IndexByte(text, '\\') < 0 {
		return text, true
	}
	var s string
	err := json.Unmarshal(slices.Concat([]byte{'"'}, text, []byte{'"'}), &s)
	return []byte(s), err == nil
}

// numbers returns an array of natural numbers, if one is next.
func (p *parser) numbers() ([]uint64, bool) {
	if !p.skip('[') {
		return nil, false
	}
	end := bytes.IndexByte(p.rest, ']')
	list := bytes.TrimRight(p.rest[:end], " \t\r\n")
	p.rest = p.rest[end+1:]
	if len(list) == 0 {
		return []uint64{}, true
	}
	numbers := make([]uint64, 0, bytes.Count(list, []byte{','})+1)
	for number := range bytes.SplitSeq(list, []byte{','}) {
		n, err := strconv.ParseUint(string(bytes.TrimSpace(number)), 10, 64)
		if err != nil {
			return nil, false
		}
		numbers = append(numbers, n)
	}
	return numbers, true
}

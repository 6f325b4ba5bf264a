package main

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"slices"
)

// marks begin the place of a section.
var marks = regexp.MustCompile(`<!-- (\S+) begin -->`)

// writePage puts the sections between their marks in the Markdown page at path,
// in the place of what is there. A page need not have a place for all of them.
func (f *figures) writePage(path string) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for _, mark := range marks.FindAllSubmatch(page, -1) {
		if !slices.ContainsFunc(sections, func(s section) bool { return s.name == string(mark[1]) }) {
			return fmt.Errorf("%s has a place for a section %q, which there is not", path, mark[1])
		}
	}
	places := 0
	for _, s := range sections {
		if !bytes.Contains(page, []byte("<!-- "+s.name+" ")) {
			continue
		}
		places++
		if page, err = f.replace(page, s); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	if places == 0 {
		return fmt.Errorf("%s has no place for a section", path)
	}
	return os.WriteFile(path, page, 0o644)
}

func (f *figures) replace(page []byte, s section) ([]byte, error) {
	begin, end := []byte("<!-- "+s.name+" begin -->"), []byte("<!-- "+s.name+" end -->")
	before, rest, ok := bytes.Cut(page, begin)
	_, after, ok2 := bytes.Cut(rest, end)
	if !ok || !ok2 {
		return nil, fmt.Errorf("no %s … %s", begin, end)
	}
	var out bytes.Buffer
	out.Write(before)
	fmt.Fprintf(&out, "%s\n\n", begin)
	s.print(f, &out)
	fmt.Fprintf(&out, "\n%s%s", end, after)
	return out.Bytes(), nil
}

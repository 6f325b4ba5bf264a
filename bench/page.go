package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/gorgonorm/norm/internal/replacefile"
)

// marks matches the mark at which the place of a section begins.
var marks = regexp.MustCompile(`<!-- (\S+) begin -->`)

// writePage puts the sections between their marks in the Markdown page at path,
// in the place of what is there. A page need not have a place for all sections. After
// an error the page stays as it is.
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
	return replacefile.Write(path, func(w io.Writer) error { _, err := w.Write(page); return err })
}

func (f *figures) replace(page []byte, s section) ([]byte, error) {
	begin, end := []byte("<!-- "+s.name+" begin -->"), []byte("<!-- "+s.name+" end -->")
	before, rest, ok := bytes.Cut(page, begin)
	old, after, ok2 := bytes.Cut(rest, end)
	if !ok || !ok2 {
		return nil, fmt.Errorf("no %s … %s", begin, end)
	}
	var text bytes.Buffer
	s.write(f, &text)
	was, is := countRows(string(old)), countRows(text.String())
	if 2*is < was && !s.shrinks {
		return nil, fmt.Errorf("section %q would have %d rows in the place of %d; if that is meant, delete those of the page first", s.name, is, was)
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s%s\n\n%s\n%s%s", before, begin, text.Bytes(), end, after)
	return out.Bytes(), nil
}

// countRows counts the rows of the Markdown tables in a text, without their heads.
func countRows(text string) (n int) {
	for _, line := range strings.Split(text, "\n") {
		switch {
		case strings.HasPrefix(line, "|---"):
			n-- // the head before it
		case strings.HasPrefix(line, "|"):
			n++
		}
	}
	return n
}

package norm_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever the README and the pages of docs call norm.X, ops.X, diff.X or gradcheck.X
// exists.
func TestPagesNameWhatThereIs(t *testing.T) {
	folders := map[string]string{"norm": ".", "ops": "ops", "diff": "diff", "gradcheck": "gradcheck"}
	exists := map[string]bool{}
	for name, folder := range folders {
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		require.NoError(t, err)
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			require.NoError(t, err)
			for _, d := range f.Decls {
				switch d := d.(type) {
				case *ast.FuncDecl:
					if d.Recv == nil {
						exists[name+"."+d.Name.Name] = true
					}
				case *ast.GenDecl:
					for _, spec := range d.Specs {
						switch spec := spec.(type) {
						case *ast.TypeSpec:
							exists[name+"."+spec.Name.Name] = true
						case *ast.ValueSpec:
							for _, n := range spec.Names {
								exists[name+"."+n.Name] = true
							}
						}
					}
				}
			}
		}
	}
	pages, err := filepath.Glob("docs/*.md")
	require.NoError(t, err)
	named := regexp.MustCompile(`\b(norm|ops|diff|gradcheck)\.[A-Z]\w*`)
	count := 0
	for _, page := range append(pages, "README.md") {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, name := range named.FindAllString(string(text), -1) {
			count++
			require.True(t, exists[name], "%s names %s", page, name)
		}
	}
	require.Greater(t, count, 50, "names that the pages mention")
}

package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var linesFile = filepath.Join("testdata", "lines.jsonl")

func TestTable(t *testing.T) {
	want, err := os.ReadFile(filepath.Join("testdata", "table.md"))
	require.NoError(t, err)
	require.Equal(t, string(want), output(t, "-table", linesFile))

	lines, err := os.ReadFile(linesFile)
	require.NoError(t, err)
	require.Equal(t, string(want), output(t, "-table", compressed(t, lines)))
	_, err = readFigures([]string{compressed(t, []byte("hello"))})
	require.ErrorContains(t, err, "lines.jsonl.gz: line 1")
	plain := filepath.Join(t.TempDir(), "plain.gz")
	require.NoError(t, os.WriteFile(plain, lines, 0o644))
	_, err = readFigures([]string{plain})
	require.ErrorContains(t, err, "plain.gz: gzip")
}

// compressed returns a file of lines.
func compressed(t *testing.T, lines []byte) string {
	name := filepath.Join(t.TempDir(), "lines.jsonl.gz")
	file, err := os.Create(name)
	require.NoError(t, err)
	w := gzip.NewWriter(file)
	_, err = w.Write(lines)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.NoError(t, file.Close())
	return name
}

// Where nothing was measured, a section says so once.
func TestSectionsWithoutRows(t *testing.T) {
	for _, s := range sections {
		if s.name == "runs" || s.name == "summary" {
			continue
		}
		var out bytes.Buffer
		s.write(newFigures(t), &out)
		require.Equal(t, 1, strings.Count(out.String(), "\n"), "%s: %s", s.name, out.String())
	}
}

func TestTableRefusesWhatIsNoLine(t *testing.T) {
	f := &figures{lines: map[cell]map[string][]result{}}
	err := f.read(strings.NewReader("{\"median_us\": 1}\n\nhello\n"))
	require.ErrorContains(t, err, "line 3")
	_, err = readFigures([]string{"none.jsonl"})
	require.Error(t, err)
}

// The tables of a page are those that are printed, and what is around them stays.
func TestPage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	page := "# Title\n"
	for _, s := range sections {
		page += "before " + s.name + "\n<!-- " + s.name + " begin -->\nold\n<!-- " + s.name + " end -->\nafter\n"
	}
	require.NoError(t, os.WriteFile(path, []byte(page), 0o644))
	for range 2 { // a second time changes nothing
		output(t, "-page", path, linesFile)
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		table := output(t, "-table", linesFile)
		for _, s := range sections {
			_, text, ok := strings.Cut(table, "## "+s.title+"\n\n")
			require.True(t, ok)
			text, _, _ = strings.Cut(text, "\n## ")
			require.Contains(t, string(got), "before "+s.name+"\n<!-- "+s.name+" begin -->\n\n"+strings.TrimSpace(text)+"\n\n<!-- "+s.name+" end -->\nafter\n")
		}
		require.NotContains(t, string(got), "old")
	}
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(page, "paths end", "", 1)), 0o644))
	require.ErrorContains(t, run([]string{"-page", path, linesFile}, os.Stdout, os.Stderr), "paths begin")
}

// The tables of another machine have neither its targets nor its figures.
func TestElsewhere(t *testing.T) {
	table := output(t, "-table", linesFile)
	require.Contains(t, table, "| must |")
	require.Contains(t, table, "| meet must |")
	require.Regexp(t, `\*\d`, table)
	table = output(t, "-elsewhere", "-table", linesFile)
	require.NotContains(t, table, "reference.csv")
	require.NotContains(t, table, "must")
	require.NotContains(t, table, "reach")
	require.NotRegexp(t, `\*\d`, table)
	require.Contains(t, table, "| best peer / ours |")
}

// Slow memory is found by the other rounds and the reference.
func TestDoubtfulFigures(t *testing.T) {
	lines := func(system, pass string, medians ...float64) (text string) {
		for _, us := range medians {
			text += fmt.Sprintf(`{"system":%q,"name":"layernorm","shape":[32,64],"dtype":"float32","threads":1,"pass":%q,"median_us":%v}`+"\n", system, pass, us)
		}
		return text
	}
	at := cell{"layernorm", "32x64", "float32", 1, fwd}
	for _, c := range []struct {
		text  string
		group peerGroup
		want  string
		count int
	}{
		{lines("norm-raw", "fwd", 1, 2.9, 9), peerGroup{systems: []string{"norm-raw"}}, "1.00", 0},
		{lines("norm-raw", "fwd", 1, 3.1, 9), peerGroup{systems: []string{"norm-raw"}}, "1.00†", 1},
		{lines("norm-raw", "fwd", 90), peerGroup{systems: []string{"norm-raw"}}, "90.00", 0},
		// The reference has 6.13 for the default and 3.73 for the best set-up.
		{lines("torch-default", "fwd", 18), torchDefault, "18.00", 0},
		{lines("torch-default", "fwd", 19), torchDefault, "19.00†", 1},
		{lines("torch-default", "fwd", 18), torchBest, "18.00", 0},
		{lines("torch-tuned", "fwd", 11), torchBest, "11.00", 0},
		{lines("torch-tuned", "fwd", 12), torchBest, "12.00†", 1},
		{lines("torch-tuned", "fwd", 10) + lines("torch-tuned", "fwd_raw", 1), torchBest, "1.00", 0},
		{lines("onednn", "fwd", 2.8) + lines("onednn-nhwc", "fwd", 9), oneDNN, "2.80†", 1},
	} {
		f := newFigures(t)
		require.NoError(t, f.read(strings.NewReader(c.text)))
		got := f.fastest(at, c.group)
		require.Equal(t, c.want, got.String(), c.text)
		count := 0
		for _, s := range f.systems {
			count += f.doubtful(s)
		}
		require.Equal(t, c.count, count, c.text)
		f.reference = nil
		if len(f.lines[at]["norm-raw"]) == 0 {
			require.NotContains(t, f.fastest(at, c.group).String(), "†")
		}
	}

	// Sections with such figures, and the one that counts them, say what the mark means.
	f := newFigures(t)
	require.NoError(t, f.read(strings.NewReader(lines("norm-raw", "fwd", 1)+lines("torch-default", "fwd", 19))))
	var table bytes.Buffer
	f.printTables(&table)
	require.Contains(t, table.String(), "| 32×64 | 1 | fwd | 1.00 | 19.00† | 19.00† | default |")
	require.Equal(t, 2, strings.Count(table.String(), "\n† Doubtful"))
}

func newFigures(t *testing.T) *figures {
	reference, err := readReference(referenceCSV)
	require.NoError(t, err)
	return &figures{lines: map[cell]map[string][]result{}, reference: reference}
}

// Rows are counted only where there is something to compare with, and once more without
// small differences.
func TestSummaryElsewhere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lines.jsonl")
	table := func(lines ...string) string {
		for i, l := range lines {
			system, rest, _ := strings.Cut(l, " ")
			shape, us, _ := strings.Cut(rest, " ")
			lines[i] = fmt.Sprintf(`{"system":%q,"name":"weight_norm","shape":[%s],"dtype":"float32","threads":1,"pass":"fwd","median_us":%s}`, system, shape, us)
		}
		require.NoError(t, os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o644))
		return output(t, "-elsewhere", "-table", path)
	}
	alone := table("norm-raw 50,100 10", "norm-raw 1024,1024 20", "norm-reuse 50,100 30")
	require.Contains(t, alone, "| ahead of every peer | ahead by 15 % or more |")
	require.Contains(t, alone, "| float32, 1 thread | 2 | – | – |  |\n")
	require.Contains(t, alone, "| float32, 1 thread | 1 | – | – | – | – |  |  | – |\n")
	require.Contains(t, alone, "where a peer is faster\n\n– (nothing to compare)\n")

	some := table("norm-raw 50,100 10", "norm-raw 1024,1024 20", "norm-raw 4096,4096 10", "norm-raw 9,9 10", "torch-tuned 50,100 11",
		"onednn 1024,1024 19", "torch-tuned 4096,4096 11.5", "norm 50,100 12", "norm-reuse 50,100 10", "norm-reuse 1024,1024 9")
	require.Contains(t, some, "| float32, 1 thread | 4 | 2 of 3 | 1 of 3 | 1.10× |\n")
	require.Contains(t, some, "| float32, 1 thread | 2 | 0 of 1 | 1 of 1 | – | – |  |  | – |\n")
	require.Contains(t, some, "| 1024×1024 | float32 | 1 | fwd | 20.00 | 19.00 |")
}

// Lines that name another instruction set are of another machine too.
func TestLinesOfAnotherInstructionSet(t *testing.T) {
	lines, err := os.ReadFile(linesFile)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "lines.jsonl")
	for _, c := range []struct {
		system, isa string
		elsewhere   bool
	}{
		{"norm-raw", "avx512", false},
		{"norm-raw", "avx2", true},
		{"norm-reuse", "generic", true},
		{"norm-raw-openblas", "avx2", true},
		{"norm-raw-avx2", "avx2", false},
		{"norm-raw-avx2-openblas", "avx2", false},
	} {
		line := fmt.Sprintf(`{"system":%q,"name":"weight_norm","shape":[50,100],"dtype":"float32","threads":1,"pass":"fwd","median_us":1,"isa":%q}`, c.system, c.isa)
		require.NoError(t, os.WriteFile(path, append(lines, line...), 0o644))
		var out, log bytes.Buffer
		require.NoError(t, run([]string{"-table", path}, &out, &log))
		require.Equal(t, !c.elsewhere, strings.Contains(out.String(), "reference.csv"), "%v", c)
		require.Equal(t, c.elsewhere, strings.Contains(log.String(), "lines of "+c.isa), "%v", c)
		log.Reset()
		require.NoError(t, run([]string{"-elsewhere", "-table", path}, &out, &log))
		require.Empty(t, log.String())
	}
}

// A page need not have all sections, but it must have at least one.
func TestPageOfOneSection(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	require.NoError(t, os.WriteFile(path, []byte("a\n<!-- runs begin -->\n<!-- runs end -->\nb\n"), 0o644))
	output(t, "-page", path, linesFile)
	page, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(page), "| norm-raw |")
	require.NoError(t, os.WriteFile(path, []byte("nothing"), 0o644))
	require.ErrorContains(t, run([]string{"-page", path, linesFile}, os.Stdout, os.Stderr), "no place")
	require.NoError(t, os.WriteFile(path, []byte("<!-- run begin -->\n<!-- run end -->\n"), 0o644))
	require.ErrorContains(t, run([]string{"-page", path, linesFile}, os.Stdout, os.Stderr), `"run"`)
}

// A page does not lose its tables to files without figures, or with a few.
func TestPageKeepsItsTables(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		return path
	}
	head := "<!-- kernel begin -->\n\n| shape |\n|---|\n"
	end := "\n<!-- kernel end -->\n<!-- behind begin -->\n| op |\n|---|\n" + strings.Repeat("| x |\n", 9) + "<!-- behind end -->\n"
	page := write("page.md", head+strings.Repeat("| x |\n", 9)+end)
	before, err := os.ReadFile(page)
	require.NoError(t, err)
	for file, want := range map[string]string{
		write("empty.jsonl", "\n"):                                      "no figures in",
		write("other.jsonl", `{"Action":"run"}`+"\n"+`{"median_us":1}`): "no figures in",
		linesFile: `section "kernel" would have 4 rows in the place of 9`,
	} {
		require.ErrorContains(t, run([]string{"-page", page, file}, os.Stdout, os.Stderr), want)
		after, err := os.ReadFile(page)
		require.NoError(t, err)
		require.Equal(t, string(before), string(after))
	}

	// Half as many rows as before are enough, and where rows are those in which a peer is
	// faster, any number.
	page = write("page.md", head+strings.Repeat("| x |\n", 8)+end)
	require.NoError(t, os.Chmod(page, 0o600))
	link := filepath.Join(dir, "link.md")
	require.NoError(t, os.Symlink("page.md", link))
	output(t, "-page", link, linesFile)
	after, err := os.ReadFile(page)
	require.NoError(t, err)
	require.NotContains(t, string(after), "| x |")
	info, err := os.Lstat(page)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 4, "nothing is left beside them")
}

func TestRowsOfTables(t *testing.T) {
	require.Equal(t, 0, countRows("None.\n"))
	require.Equal(t, 3, countRows("#### a\n\n| h |\n|---|\n| 1 |\n| 2 |\n\n| h | i |\n|---|---|\n| 1 | 2 |\n"))
}

// Every section has a place on a page of the documentation, and every place a section.
func TestPagesOfTheDocumentation(t *testing.T) {
	f, err := readFigures([]string{linesFile})
	require.NoError(t, err)
	placed := map[string]bool{}
	for _, name := range []string{"performance.md", "avx2.md"} {
		page, err := os.ReadFile(filepath.Join("..", "docs", name))
		require.NoError(t, err)
		for _, mark := range marks.FindAllSubmatch(page, -1) {
			i := slices.IndexFunc(sections, func(s section) bool { return s.name == string(mark[1]) })
			require.GreaterOrEqual(t, i, 0, "%s: %s", name, mark[1])
			s := sections[i]
			s.shrinks = true // these files have few figures
			_, err := f.replace(page, s)
			require.NoError(t, err, name)
			placed[s.name] = true
		}
	}
	for _, s := range sections {
		require.True(t, placed[s.name], "no page has %s", s.name)
	}
}

// Every reference figure belongs to a case, and every norm has targets.
func TestReference(t *testing.T) {
	reference, err := readReference(referenceCSV)
	require.NoError(t, err)
	cases := output(t, "-list")
	targets := 0
	for c, q := range reference {
		require.Contains(t, cases, strings.Join([]string{c.name, c.shape, c.dtype, c.pass}, " ")+"\n")
		require.Positive(t, q.us["torch_best"])
		require.NotEmpty(t, q.which)
		if titles[c.name] == "" {
			continue
		}
		targets++
		require.Positive(t, q.us["floor"])
		require.Positive(t, q.us["reach"])
		require.LessOrEqual(t, q.us["reach"], q.us["must"])
		require.Equal(t, c.pass == bwd, q.us["gorgonia"] == 0)
		require.Equal(t, c.dtype == "float64" || c.name == "weight_norm", q.us["onednn"] == 0)
	}
	require.Equal(t, 220, targets)
}

// The fastest peer is the one that the targets of the reference were made from: must is
// 15 % below its time.
func TestBestPeerOfTheReference(t *testing.T) {
	reference, err := readReference(referenceCSV)
	require.NoError(t, err)
	f := &figures{reference: reference}
	for c, q := range reference {
		if must := q.us["must"]; must > 0 {
			require.InEpsilon(t, f.bestPeer(c).us/1.15, must, 0.01, "%v", c)
		}
	}
}

// Forward and backward in a graph may take 60 µs and 1.2 times the two kernels alone:
// 60 + 1.2·(100 + 200) = 420 µs.
func TestNearKernels(t *testing.T) {
	lines := &figures{lines: map[cell]map[string][]result{}}
	for i, graph := range []float64{420, 421, 300, 10} {
		for _, l := range []result{
			{System: kernelSystem, Pass: fwd, Median: 100}, {System: kernelSystem, Pass: bwd, Median: 200},
			{System: reuseSystem, Pass: fwdbwd, Median: graph}, {System: reuseSystem, Pass: fwd, Median: 90},
		} {
			l.Name, l.Shape, l.Dtype, l.Threads = "layernorm", []int{i + 1, 8}, "float32", 1
			if i < 3 || l.System == reuseSystem { // the last row has no figures of the kernels
				lines.add(l)
			}
		}
	}
	require.Equal(t, "2 of 3", lines.nearKernels(lines.cells(reuseSystem)))
}

// The tables of the pages are those of the measurements that are kept.
func TestPagesShowTheirResults(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "docs", "avx2.md"))
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "avx2.md")
	require.NoError(t, os.WriteFile(path, page, 0o644))
	output(t, "-elsewhere", "-page", path, filepath.Join("results", "avx2.jsonl.gz"))
	again, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(page), string(again))
}

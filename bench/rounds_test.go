package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOrderIsTurnedRound(t *testing.T) {
	ps := []peer{{name: "a"}, {name: "b"}, {name: "c"}}
	for round, want := range map[int]string{1: "a,b,c", 2: "c,b,a", 3: "a,b,c"} {
		got := peers(order(ps, round))
		require.Equal(t, want, got.String())
	}
}

// Peers alone, so that nothing is timed: echo prints what stands for a line.
func TestRounds(t *testing.T) {
	defer func(n int) { numCPU = n }(numCPU)
	numCPU = max(2, numCPU)
	out := filepath.Join(t.TempDir(), "out.jsonl")
	var log bytes.Buffer
	s, err := parse([]string{"-rounds", "2", "-out", out, "-filter", "linear .* fwd$", "-threads", "1,2", "-dtype", "float32",
		"-max-foreign", "1000",
		"-peer", `one=echo {"system":"one","args":"{threads}{dtype}{min_time}{group}{filter}"}`,
		"-peer", `two=echo {"system":"two"}`}, &log)
	require.NoError(t, err)
	all := s.rounds.peers
	require.Len(t, jobs(s), 2)
	s.systems = nil
	require.Empty(t, jobs(s), "a group without a case")

	s.systems = systems
	var got []byte
	for round := 1; round <= 2; round++ {
		for _, j := range jobs(s) {
			for _, p := range order(all, round) {
				got = append(got, s.rounds.turn(p.name, j.command(p.command), j.threads, &log).lines(round)...)
			}
		}
	}
	lines := strings.Split(strings.TrimSpace(string(got)), "\n")
	require.Len(t, lines, 8)
	require.Contains(t, lines[0], `"1float320.25linear linear .* fwd$", "round": 1, "foreign": `)
	require.Contains(t, lines[1], `"two"`)
	require.Contains(t, lines[4], `"two", "round": 2`)
	require.Contains(t, lines[7], `"2float32`)
}

func TestRoundsRunThisProgram(t *testing.T) {
	r := rounds{n: 1, out: filepath.Join(t.TempDir(), "out.jsonl")}
	s := settings{systems: systems}
	all, err := r.all(s)
	require.NoError(t, err)
	require.Len(t, all, len(systems))
	args := job{"^layernorm ", "fwd$", "float32", "1", "0.5"}.command(all[0].command[1:])
	parsed, err := parse(args, os.Stderr)
	require.NoError(t, err)
	require.Equal(t, []system{systems[0]}, parsed.systems)
	require.Equal(t, time.Second/2, parsed.minTime)
	require.True(t, parsed.filters.match("layernorm 2x3 float32 fwd"))
	require.False(t, parsed.filters.match("layernorm 2x3 float32 fwdbwd"))
}

// Rounds that are added to a file have other numbers than those that it has.
func TestLastRound(t *testing.T) {
	name := filepath.Join(t.TempDir(), "out.jsonl")
	last, err := lastRound(name)
	require.NoError(t, err)
	require.Zero(t, last, "no file")
	line := `{"system":"norm","name":"layernorm","shape":[2,3],"dtype":"float32","pass":"fwd","threads":1,"median_us":2,"round":%d}` + "\n"
	require.NoError(t, os.WriteFile(name, fmt.Appendf(fmt.Appendf(nil, line, 3), line, 2), 0o644))
	last, err = lastRound(name)
	require.NoError(t, err)
	require.Equal(t, 3, last)
	require.NoError(t, os.WriteFile(name, []byte("# notes\n"), 0o644))
	_, err = lastRound(name)
	require.ErrorContains(t, err, name)
}

func TestAFailingPeerIsReported(t *testing.T) {
	var log bytes.Buffer
	got := rounds{}.turn("bad", []string{"false"}, "1", &log)
	require.Error(t, got.err)
	require.Contains(t, log.String(), "bad")
}

func TestBusyTimeOfProcStat(t *testing.T) {
	require.Equal(t, 150*time.Millisecond, busyIn("cpu  1 2 3 400 500 4 5 6 0 0\ncpu0 ..."))
	require.Zero(t, busyIn("what is this"))
}

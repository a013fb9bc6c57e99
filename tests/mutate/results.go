package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// resultsFile holds the last recorded outcome of each fault, one a line:
// fault, fingerprint, verdict, times, seconds, commit, date, parted
// by tabs.
const resultsFile = "tests/mutate/results.tsv"

// A result is a recorded outcome.
type result struct {
	what    string
	print   string // of the fault as it was then
	verdict verdict
	times   int
	seconds float64
	commit  string
	date    string
}

// results are by the fault's name.
type results map[string]result

// of returns the result of f as it is now.
func (rs results) of(f fault) (result, bool) {
	r, ok := rs[f.what]
	return r, ok && r.print == f.print()
}

// keep takes the place of what was known of f.
func (rs results) keep(f fault, out outcome, commit string, times int) {
	rs[f.what] = result{f.what, f.print(), out.verdict, times,
		out.took.Seconds(), commit, time.Now().UTC().Format(time.DateOnly)}
}

// readResults reads a file of results. None is none.
func readResults(name string) (results, error) {
	rs := results{}
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return rs, nil
	}
	if err != nil {
		return nil, err
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		r, err := parseResult(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", name, n, err)
		}
		rs[r.what] = r
	}
	return rs, nil
}

func parseResult(line string) (result, error) {
	p := strings.Split(line, "\t")
	if len(p) != 7 {
		return result{}, fmt.Errorf("%d fields, not 7", len(p))
	}
	times, err := strconv.Atoi(p[3])
	if err != nil {
		return result{}, err
	}
	seconds, err := strconv.ParseFloat(p[4], 64)
	if err != nil {
		return result{}, err
	}
	return result{p[0], p[1], verdict(p[2]), times, seconds, p[5], p[6]}, nil
}

// write writes the results of the faults that still exist, in their order.
func (rs results) write(name string) error {
	maps.DeleteFunc(rs, func(name string, _ result) bool {
		return !slices.ContainsFunc(all(), func(f fault) bool { return f.what == name })
	})
	var b bytes.Buffer
	for _, f := range all() {
		if r, ok := rs[f.what]; ok {
			fmt.Fprintf(&b, "%s\t%s\t%s\t%d\t%.1f\t%s\t%s\n", r.what, r.print, r.verdict, r.times, r.seconds, r.commit, r.date)
		}
	}
	return os.WriteFile(name, b.Bytes(), 0o644)
}

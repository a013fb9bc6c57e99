package faults

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A row is a case of the table: what is done, and what must come of it.
type row struct{ section, name, want string }

// results is the table, filled by what ran.
type results struct {
	mu    sync.Mutex
	rows  []row
	cells map[row]map[string]cell
	began time.Time
}

type cell struct {
	ok   bool
	note string
	took time.Duration
}

var table = &results{cells: map[row]map[string]cell{}, began: time.Now()}

// A noter takes the figures of a case.
type noter func(format string, args ...any)

// on runs a case on each of the backends and enters the outcomes.
func on(t *testing.T, r row, kinds []kind, run func(t *testing.T, k kind, note noter)) {
	t.Helper()
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			var notes []string
			began := time.Now()
			t.Cleanup(func() { table.enter(r, k.name, cell{!t.Failed(), strings.Join(notes, "; "), time.Since(began)}) })
			run(t, k, func(format string, args ...any) {
				notes = append(notes, fmt.Sprintf(format, args...))
				t.Logf(format, args...)
			})
		})
	}
}

func (r *results) enter(which row, backend string, c cell) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cells[which] == nil {
		r.rows = append(r.rows, which)
		r.cells[which] = map[string]cell{}
	}
	r.cells[which][backend] = c
}

// sections are in the order of the table.
var sections = []string{serverProcess, databaseServer, network, storeRefuses, damaged, clocks, hostile}

const (
	serverProcess  = "The server process"
	databaseServer = "The database server"
	network        = "The network"
	damaged        = "Records damaged in the store"
)

var backends = []string{"memory", "file", "mysql", "redis"}

// write writes docs/evidence/faults.md, if FAULTS_TABLE names it.
func (r *results) write(passed bool) error {
	path := os.Getenv("FAULTS_TABLE")
	if path == "" {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "# Faults, case by case\n\n")
	fmt.Fprintf(&b, "Written by `make faults` from what ran: %s, %s/%s, %d CPUs, %s, in %v. ",
		time.Now().Format("2006-01-02"), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), time.Since(r.began).Round(time.Second))
	if passed {
		fmt.Fprintf(&b, "All passed.\n\n")
	} else {
		fmt.Fprintf(&b, "**Not all passed.**\n\n")
	}
	fmt.Fprintf(&b, "Each case is a server process (chi and session) on the backend, under HTTP load where it says so. In all of them, every\n")
	fmt.Fprintf(&b, "response is checked: a 200 has the user and every acknowledged value, an error response has no cookie and none of the handler's\n")
	fmt.Fprintf(&b, "body. The logs and the error responses were searched for secrets: %s; none was there.\n\n", canaries.figures())
	fmt.Fprintf(&b, "✓ as expected · ✗ not · – does not apply\n\n")
	slices.SortStableFunc(r.rows, func(a, b row) int {
		return slices.Index(sections, a.section) - slices.Index(sections, b.section)
	})
	section := ""
	for _, row := range r.rows {
		if row.section != section {
			section = row.section
			fmt.Fprintf(&b, "\n## %s\n\n| case | expected | %s |\n|---|---|%s\n", section, strings.Join(backends, " | "), strings.Repeat(":-:|", len(backends)))
		}
		fmt.Fprintf(&b, "| %s | %s |", row.name, row.want)
		for _, name := range backends {
			fmt.Fprintf(&b, " %s |", sign(r.cells[row], name))
		}
		fmt.Fprintln(&b)
	}
	fmt.Fprintf(&b, "\n## Figures of this run\n\n")
	for _, row := range r.rows {
		var lines []string
		for _, name := range backends {
			if c, ok := r.cells[row][name]; ok && c.note != "" {
				lines = append(lines, fmt.Sprintf("  - %s: %s", name, c.note))
			}
		}
		if len(lines) > 0 {
			fmt.Fprintf(&b, "- %s\n%s\n", row.name, strings.Join(slices.Compact(lines), "\n"))
		}
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

func sign(cells map[string]cell, name string) string {
	switch c, ran := cells[name]; {
	case !ran:
		return "–"
	case c.ok:
		return "✓"
	}
	return "✗"
}

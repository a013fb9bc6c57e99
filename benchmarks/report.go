package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A report is all that one run measured.
type report struct {
	quick     bool
	started   time.Time
	took      time.Duration
	duels     []fought
	cells     []cell // of the load, with loadClients clients
	tables    []table
	curves    []curve
	verdicts  []verdict
	tops      []top    // of the duels that missed a target
	untold    []string // those for which there was no time
	profiling time.Duration
	servers   []string // and their versions
}

// A fought is a duel that was fought, and where.
type fought struct {
	kind     string
	scenario scenario
	duel
}

func (rep *report) add(t table, v verdict, err error) error {
	rep.tables = append(rep.tables, t)
	rep.verdicts = append(rep.verdicts, v)
	return err
}

// row adds a row to the table that has the title of t, which is t if there is
// none yet.
func (rep *report) row(t table, cells ...string) {
	i := slices.IndexFunc(rep.tables, func(there table) bool { return there.title == t.title })
	if i < 0 {
		i = len(rep.tables)
		rep.tables = append(rep.tables, t)
	}
	rep.tables[i].rows = append(rep.tables[i].rows, cells)
}

// duelTables returns a table of the duels in each place, for the terminal.
func (rep *report) duelTables() (tables []table) {
	for _, kind := range kinds {
		t := table{
			title: title[kind],
			head:  []string{"scenario", "against", "session", "the other", "session ÷ the other", "calm", "target"},
		}
		for _, f := range rep.duels {
			if f.kind != kind {
				continue
			}
			row := []string{fmt.Sprintf("%s: %s", f.scenario, what[f.scenario]), f.b, micros(f.timeA), micros(f.timeB), spread(f.duel), number(f.calm), ""}
			if goal, ok := targetOf(kind, f.scenario, f.b); ok {
				v := goal.judge(f.duel)
				row[6] = v.want + ": " + v.outcome.String()
			}
			t.rows = append(t.rows, row)
		}
		if len(t.rows) > 0 {
			tables = append(tables, t)
		}
	}
	return tables
}

// verdictTable returns what came of the targets, missed ones first.
func (rep *report) verdictTable() table {
	t := table{
		title: "Targets",
		note: "Missed is what all of the spread is on the wrong side of; if the target lies within the spread, this run cannot tell. " +
			"What stands behind a miss is in [the notes](../../benchmarks/results/notes.md), with profiles of this run [beside them](../../benchmarks/results/profiles.md).",
		head: []string{"", "target", "measured", ""},
	}
	for _, o := range []outcome{missed, within, met} {
		for _, v := range rep.verdicts {
			if v.outcome == o {
				t.rows = append(t.rows, []string{v.what, v.want, v.got, o.String()})
			}
		}
	}
	return t
}

// print writes the report for a terminal.
func (rep *report) print(w io.Writer) error {
	for _, t := range append(append(rep.duelTables(), rep.tables...), rep.verdictTable()) {
		if err := t.print(w); err != nil {
			return err
		}
	}
	return nil
}

// Names of the files of the page, in its folder.
const (
	pageFile   = "performance.md"
	chartFile  = "performance.svg"
	growthFile = "growth.svg"
)

// write writes the page and its pictures to dir, and the profiles to results.
func (rep *report) write(dir string) error {
	for path, content := range map[string][]byte{
		"results/profiles.md":          []byte(rep.profiles()),
		filepath.Join(dir, chartFile):  rep.chart(),
		filepath.Join(dir, growthFile): rep.growthChart(),
		filepath.Join(dir, pageFile):   []byte(rep.page()),
	} {
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// profiles returns the page of what missed a target.
func (rep *report) profiles() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Profiles of what missed a target, %s\n\n", rep.started.UTC().Format("2006-01-02"))
	b.WriteString("Written by `make bench`. CPU time of this process in the timed turns alone, callees included (`go tool pprof -top -cum`).\n")
	b.WriteString("The server's own time and the waiting are not in it.\n\n")
	for _, t := range rep.tops {
		fmt.Fprintf(&b, "%s: %s:\n\n```text\n%s\n```\n\n", title[t.kind], what[t.scenario], t.text)
	}
	if len(rep.untold) > 0 {
		fmt.Fprintf(&b, "There was no time left for: %s (`go run . -only PLACE/SCENARIO -profile FILE` makes one).\n", strings.Join(rep.untold, "; "))
	}
	return b.String()
}

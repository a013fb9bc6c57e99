package main

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"
)

// figures are what the page opens with: what a request costs, beside the bare
// driver and beside scs.
var figures = []struct {
	what     string
	kind     string
	scenario scenario
	bare     string
}{
	{"a request that does not use its session", inMemory, untouched, nameChi},
	{"reading, in memory", inMemory, read, nameRaw},
	{"reading, Redis", inRedis, read, nameRaw},
	{"reading and writing, Redis", inRedis, write, nameRaw},
	{"reading and writing, MariaDB", inMariaDB, write, nameRaw},
}

// figureTable answers "what does it cost me, against what I have?".
func (rep *report) figureTable() table {
	t := table{head: []string{"", "here", "chi and the bare driver", "here ÷ bare", "here ÷ scs"}}
	for _, figure := range figures {
		row := []string{figure.what, "", "–", "–", "–"}
		for _, f := range rep.duels {
			if f.kind != figure.kind || f.scenario != figure.scenario {
				continue
			}
			switch f.b {
			case figure.bare:
				row[1], row[2], row[3] = micros(f.timeA), micros(f.timeB), spread(f.duel)
			case nameSCS:
				row[4] = spread(f.duel)
			}
		}
		if row[1] != "" {
			t.rows = append(t.rows, row)
		}
	}
	return t
}

// asked are the scenarios in the order in which readers look for them.
var asked = []scenario{read, write, login, renew, destroy, readBig, writeBig, untouched}

// rivals are the columns of a scenario's table.
var rivals = []struct {
	label string
	names []string
}{
	{"÷ bare", []string{nameRaw, nameChi}},
	{"÷ bare, with a token", []string{nameWire}},
	{"÷ scs", []string{nameSCS}},
	{"÷ gorilla, redistore", []string{nameGorilla, nameRedi}},
	{"÷ reading little", []string{ownRead}},
}

// scenarioTable returns a row for each place, and a column for each opponent
// that there is.
func (rep *report) scenarioTable(s scenario) table {
	t := table{title: strings.ToUpper(what[s][:1]) + what[s][1:]}
	columns := []string{"", "session", "chi and the bare driver"}
	used := make([]bool, len(rivals))
	for _, kind := range kinds {
		row := make([]string, 3+len(rivals))
		row[0] = title[kind]
		for _, f := range rep.duels {
			if f.kind != kind || f.scenario != s {
				continue
			}
			for i, rival := range rivals {
				if !slices.Contains(rival.names, f.b) {
					continue
				}
				row[3+i], used[i] = spread(f.duel), true
				if i < 2 && row[1] == "" { // the limit, or the one with a token where there is no other
					row[1], row[2] = micros(f.timeA), micros(f.timeB)
				}
			}
		}
		if row[1] != "" {
			t.rows = append(t.rows, row)
		}
	}
	for i, rival := range rivals {
		if used[i] {
			columns = append(columns, rival.label)
		}
	}
	t.head = columns
	for i, row := range t.rows {
		kept := row[:3:3]
		for j, cell := range row[3:] {
			if used[j] {
				kept = append(kept, cell)
			}
		}
		t.rows[i] = kept
	}
	return t
}

// sectionTitles are the page's headings over its tables.
var sectionTitles = [sections]string{
	underLoad: "Under load",
	growth:    "How it grows",
	collector: "While expired sessions are removed",
	counted:   "What was counted",
}

// page returns docs/evidence/performance.md.
func (rep *report) page() string {
	var b strings.Builder
	b.WriteString("# Performance\n\n**What does it cost me, against what I have?** The time of one request through chi, the middleware and a handler, in one\n" +
		"process, without the network to the client. Ratios have their quartiles beside them; under 1 is faster here.\n\n")
	if rep.quick {
		b.WriteString("**This was a quick run (`QUICK=1 make bench`): short, and smaller where a table says so.**\n\n")
	}
	b.WriteString(rep.figureTable().markdown())
	fmt.Fprintf(&b, "![Time of a request, by backend and library](%s)\n\n", chartFile)
	fmt.Fprintf(&b, "Every number on this page was measured in one run of `make bench` on %s: %s.\n\n", rep.started.UTC().Format("2006-01-02"), machine())
	b.WriteString(method)
	b.WriteString("## Single requests\n\n")
	for _, s := range asked {
		if t := rep.scenarioTable(s); len(t.rows) > 0 {
			b.WriteString(t.markdown())
		}
	}
	for i := range sections {
		rep.writeSection(&b, i)
	}
	b.WriteString(rep.targetSection())
	b.WriteString(elsewhere)
	fmt.Fprintf(&b, "## Where and how\n\n- Date: %s, %v long\n- Machine: %s\n- Go: %s, %s/%s, GOMAXPROCS %d\n", rep.started.UTC().Format("2006-01-02 15:04 MST"),
		rep.took.Round(time.Second), machine(), runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0))
	for _, s := range slices.Concat(rep.servers, modules()) {
		fmt.Fprintf(&b, "- %s\n", s)
	}
	b.WriteString("\nTo repeat: `make bench`, or `QUICK=1 make bench`; `make bench-check` fails when a target that counts gets worse.\n")
	return b.String()
}

func (rep *report) writeSection(b *strings.Builder, s section) {
	begun := false
	for _, t := range rep.tables {
		if t.section != s {
			continue
		}
		if !begun {
			begun = true
			fmt.Fprintf(b, "## %s\n\n", sectionTitles[s])
			if s == underLoad {
				b.WriteString(loadMethod)
			}
			if s == growth {
				fmt.Fprintf(b, "![How times and memory grow](%s)\n\n", growthFile)
			}
		}
		b.WriteString(t.markdown())
	}
}

// targetSection returns the table of targets, after how many were met.
func (rep *report) targetSection() string {
	t := rep.verdictTable()
	if len(t.rows) == 0 {
		return ""
	}
	var n [missed + 1]int
	for _, v := range rep.verdicts {
		n[v.outcome]++
	}
	t.title = ""
	return fmt.Sprintf("## Targets\n\nOf %d, %d are met, %d lie within their spread, %d are missed.\n\n", len(rep.verdicts), n[met], n[within], n[missed]) + t.markdown()
}

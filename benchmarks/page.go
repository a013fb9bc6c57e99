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
	load     bool // processor time, of a server under load
}{
	{"a request that does not use its session", inMemory, untouched, nameChi, false},
	{"reading, in memory", inMemory, read, nameRaw, false},
	{"reading, Redis", inRedis, read, nameRaw, false},
	{"reading and writing, MariaDB", inMariaDB, write, nameRaw, false},
	{fmt.Sprintf("CPU of a server for a read, Redis, %d clients", loadClients), inRedis, read, nameRaw, true},
}

// figureTable answers "what does it cost me, against what I have?".
func (rep *report) figureTable() table {
	t := table{head: []string{"", "here", "chi and the bare driver", "here ÷ bare", "here ÷ scs"}}
	for _, f := range figures {
		measured := rep.fight
		if f.load {
			measured = rep.burden
		}
		if bare, ok := measured(f.kind, f.scenario, f.bare); ok {
			scs, _ := measured(f.kind, f.scenario, nameSCS)
			t.rows = append(t.rows, []string{f.what, micros(bare.timeA), micros(bare.timeB), spread(bare), spread(scs)})
		}
	}
	return t
}

// fight returns the duel with an opponent, if it was fought.
func (rep *report) fight(kind string, s scenario, against string) (d duel, ok bool) {
	for _, f := range rep.duels {
		if f.kind == kind && f.scenario == s && f.b == against {
			return f.duel, true
		}
	}
	return d, false
}

// burden is fight for the processor time of a server under load.
func (rep *report) burden(kind string, s scenario, against string) (d duel, ok bool) {
	for _, c := range rep.cells {
		if c.kind == kind && c.scenario == s && c.of[against] != nil {
			d = c.ratio(byCPU, against)
			d.timeA, d.timeB = time.Duration(c.of[nameOurs].median(byCPU)), time.Duration(c.of[against].median(byCPU))
			return d, true
		}
	}
	return d, false
}

// asked are the scenarios in the order in which readers look for them.
var asked = []scenario{read, write, login, renew, destroy, readBig, writeBig, untouched}

// rivals are the columns of a scenario's table. The first two are limits: what
// is measured beside one of them is printed as a time, too.
var rivals = []struct {
	label string
	names []string
	limit bool
}{
	{"÷ bare", []string{nameRaw, nameChi}, true},
	{"÷ bare, with a token", []string{nameWire}, true},
	{"÷ scs", []string{nameSCS}, false},
	{"÷ gorilla, redistore", []string{nameGorilla, nameRedi}, false},
	{"÷ reading little", []string{ownRead}, false},
}

// scenarioTable returns a row for each place, and a column for each rival that
// there is.
func (rep *report) scenarioTable(s scenario) table {
	t := table{title: strings.ToUpper(what[s][:1]) + what[s][1:], head: []string{"", "session", "chi and the bare driver"}}
	for _, kind := range kinds {
		row := []string{title[kind], "", ""}
		for _, rival := range rivals {
			cell := ""
			for _, name := range rival.names {
				if d, ok := rep.fight(kind, s, name); ok {
					cell = spread(d)
					if rival.limit && row[1] == "" {
						row[1], row[2] = micros(d.timeA), micros(d.timeB)
					}
				}
			}
			row = append(row, cell)
		}
		if row[1] != "" {
			t.rows = append(t.rows, row)
		}
	}
	for _, rival := range rivals {
		t.head = append(t.head, rival.label)
	}
	return t.withoutEmpty()
}

// withoutEmpty returns t without the columns in which there is nothing.
func (t table) withoutEmpty() table {
	for i := len(t.head) - 1; i > 0; i-- {
		if slices.ContainsFunc(t.rows, func(row []string) bool { return row[i] != "" }) {
			continue
		}
		t.head = slices.Delete(t.head, i, i+1)
		for j := range t.rows {
			t.rows[j] = slices.Delete(t.rows[j], i, i+1)
		}
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
		"process, without the network to the client; and what a server's processor has to do for one. Ratios have their quartiles\n" +
		"beside them; under 1 is less here.\n\n")
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

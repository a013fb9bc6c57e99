package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"text/tabwriter"
	"time"
)

// A table is a part of the report.
type table struct {
	title, note string
	head        []string
	rows        [][]string
}

// print writes t for a terminal.
func (t table) print(w io.Writer) error {
	fmt.Fprintf(w, "\n%s\n", t.title)
	if t.note != "" {
		fmt.Fprintf(w, "(%s)\n", t.note)
	}
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, row := range append([][]string{t.head}, t.rows...) {
		fmt.Fprintln(tw, strings.Join(row, "\t"))
	}
	return tw.Flush()
}

// markdown returns t for a page.
func (t table) markdown() string {
	var b strings.Builder
	if t.title != "" {
		fmt.Fprintf(&b, "### %s\n\n", t.title)
	}
	if t.note != "" {
		fmt.Fprintf(&b, "%s\n\n", t.note)
	}
	line := func(row []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | ")) }
	line(t.head)
	rule := make([]string, len(t.head))
	for i := range rule {
		rule[i] = "---:"
	}
	rule[0] = "---"
	line(rule)
	for _, row := range t.rows {
		line(row)
	}
	return b.String() + "\n"
}

// A report is all that one run measured.
type report struct {
	quick    bool
	started  time.Time
	took     time.Duration
	duels    []fought
	tables   []table
	verdicts []verdict
	tops     []top    // of the duels that missed a target
	servers  []string // and their versions
}

// A fought is a duel that was fought, and where.
type fought struct {
	kind     string
	scenario scenario
	duel
}

// duelTables returns a table of the duels in each place.
func (r *report) duelTables() (tables []table) {
	for _, kind := range kinds {
		t := table{
			title: title[kind],
			head:  []string{"scenario", "against", "session", "the other", "session ÷ the other", "calm", "target"},
		}
		for _, f := range r.duels {
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
func (r *report) verdictTable() table {
	t := table{
		title: "Targets",
		note:  "A target is missed if all of the spread is on the wrong side of it. What stands behind a miss is in [the notes](../../benchmarks/results/notes.md), with profiles of this run [beside them](../../benchmarks/results/profiles.md).",
		head:  []string{"what", "target", "measured", ""},
	}
	for _, o := range []outcome{missed, within, met} {
		for _, v := range r.verdicts {
			if v.outcome == o {
				t.rows = append(t.rows, []string{v.what, v.want, v.got, o.String()})
			}
		}
	}
	return t
}

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
func (r *report) figureTable() table {
	t := table{head: []string{"", "here", "chi and the bare driver", "here ÷ bare", "here ÷ scs"}}
	for _, figure := range figures {
		row := []string{figure.what, "", "–", "–", "–"}
		for _, f := range r.duels {
			if f.kind != figure.kind || f.scenario != figure.scenario {
				continue
			}
			switch f.b {
			case figure.bare:
				row[1], row[2], row[3] = micros(f.timeA), micros(f.timeB), number(f.ratio)
			case nameSCS:
				row[4] = number(f.ratio)
			}
		}
		if row[1] != "" {
			t.rows = append(t.rows, row)
		}
	}
	return t
}

// print writes the report for a terminal.
func (r *report) print(w io.Writer) error {
	for _, t := range append(append(r.duelTables(), r.tables...), r.verdictTable()) {
		if err := t.print(w); err != nil {
			return err
		}
	}
	return nil
}

// markdown returns the page docs/evidence/performance.md.
func (r *report) markdown(chart string) string {
	var b strings.Builder
	b.WriteString("# Performance\n\n")
	b.WriteString("The time of one request through chi, the middleware and a handler, in one process, without the network to the client. Under 1 is faster here.\n\n")
	if r.quick {
		b.WriteString("**This was a quick run (`QUICK=1 make bench`): short, and smaller where a table says so.**\n\n")
	}
	b.WriteString(r.figureTable().markdown())
	fmt.Fprintf(&b, "![Time a request, by backend and library](%s)\n\n", chart)
	misses := 0
	for _, v := range r.verdicts {
		if v.outcome == missed {
			misses++
		}
	}
	fmt.Fprintf(&b, "Of %d [targets](#targets), %d are missed. Every number on this page was measured in one run of `make bench`, on %s, %s.\n\n",
		len(r.verdicts), misses, r.started.UTC().Format("2006-01-02"), machine())
	b.WriteString(method)
	b.WriteString("## Duels\n\n")
	for _, t := range r.duelTables() {
		b.WriteString(t.markdown())
	}
	b.WriteString("## Costs, growth, load\n\n")
	for _, t := range r.tables {
		b.WriteString(t.markdown())
	}
	if t := r.verdictTable(); len(t.rows) > 0 {
		b.WriteString(t.markdown())
	}
	b.WriteString("## Where and how\n\n")
	fmt.Fprintf(&b, "- Date: %s, %v long\n- Machine: %s\n- Go: %s, %s/%s, GOMAXPROCS %d\n", r.started.UTC().Format("2006-01-02 15:04 MST"),
		r.took.Round(time.Second), machine(), runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0))
	for _, s := range r.servers {
		fmt.Fprintf(&b, "- %s\n", s)
	}
	for _, m := range modules() {
		fmt.Fprintf(&b, "- %s\n", m)
	}
	b.WriteString("\nTo repeat: `make bench`, or `QUICK=1 make bench`; `make bench-check` fails when a target that counts gets worse.\n")
	return b.String()
}

// profiles returns the page of what missed a target.
func (r *report) profiles() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Profiles of what missed a target, %s\n\n", r.started.UTC().Format("2006-01-02"))
	b.WriteString("Written by `make bench`. CPU time of this process in the timed turns alone, callees included (`go tool pprof -top -cum`).\n")
	b.WriteString("The server's own time and the waiting are not in it.\n\n")
	for _, t := range r.tops {
		fmt.Fprintf(&b, "%s %s, %s:\n\n```text\n%s\n```\n\n", title[t.kind], t.scenario, what[t.scenario], t.text)
	}
	return b.String()
}

const method = `## How it is measured

The same chi router and handlers run over each library, in one process, with a
request and a discarding ResponseWriter that are used again and again, so that
what differs is the library. In a **duel**, two libraries take turns of a few
milliseconds in random order, for hundreds of rounds or six seconds (60 rounds
or one second in a quick run); each round gives the ratio of two neighbours, so
that what slows the machine slows both. A result is the median of the ratios
and, in brackets, their quartiles: half of the rounds were within them. **Calm**
is the ratio of both sides' 5th percentiles, which is what a machine does that
is left alone; no target is judged by it.
Before each duel every contender has shown that it does the work: the value
comes back, the cookie is valid, the record has changed. A 64 MB block in the
heap has the garbage collector run as seldom as in a server of that size.

- **raw** is the limit: chi and the bare driver call with the bytes that this
  library stores (a map under a RWMutex; os.ReadFile, WriteFile; redigo GET,
  SET EX, DEL; prepared SELECT data, UPDATE expires and data, INSERT, DELETE by
  primary key). It reads no cookie, checks no token and no expiry, compares no
  version, decodes, seals and sends nothing. Its connections have time-outs, as
  this library's have: without, a server that hangs would hang it for ever.
- **raw + token** also makes a random token and sends a Set-Cookie, as every
  login and renewal must.
- **scs** is alexedwards/scs/v2 with its defaults: memstore, goredisstore,
  mysqlstore with interpolateParams.
- **gorilla** is gorilla/sessions with FilesystemStore; **redistore** the same
  with boj/redistore. They sign and do not encrypt.
- This library seals its records in files, Redis and MariaDB.

`

// machine describes the processor and the system.
func machine() string {
	model := "unknown processor"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	system := runtime.GOOS
	if out, err := exec.Command("uname", "-sr").Output(); err == nil {
		system = strings.TrimSpace(string(out))
	}
	return fmt.Sprintf("%s, %d cores, %s", model, runtime.NumCPU(), system)
}

// modules returns the versions of the libraries compared and of the drivers.
func modules() (names []string) {
	wanted := []string{"go-chi/chi", "alexedwards/scs", "gorilla/sessions", "boj/redistore", "gomodule/redigo", "redis/go-redis", "go-sql-driver/mysql"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	for _, dep := range info.Deps {
		for _, w := range wanted {
			if strings.Contains(dep.Path, w) {
				names = append(names, dep.Path+" "+dep.Version)
			}
		}
	}
	return names
}

// spread prints a ratio with its quartiles.
func spread(d duel) string {
	return fmt.Sprintf("%s (%s–%s)", number(d.ratio), number(d.low), number(d.high))
}

// number prints three digits.
func number(x float64) string {
	switch {
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}

// micros prints a time in µs.
func micros(d time.Duration) string { return number(float64(d)/1000) + " µs" }

// thousands prints n with commas.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Command benchmarks measures this library, those that people would otherwise
// pick and the bare drivers, side by side; see docs/evidence/performance.md for how.
//
//	go run .                 everything: prints the tables, writes docs/evidence/performance.md and .svg
//	go run . -quick          the same in under 4 minutes
//	go run . -check          fails when a cost or a ratio got worse
//	go run . -check -exact   only what is exact: allocations and round trips
//	go run . -convoy         only many clients at few sessions of MariaDB
//	go run . -update         writes exact.json, the costs that -check compares with
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"time"
)

// A run is what the command line asks for.
type run struct {
	quick, check, exact, update bool
	convoy                      bool
	only                        *regexp.Regexp // of place/scenario
	profile                     string
	rounds                      int
	out                         string
	size                        size
}

// A size is how much a run does. Each part of it has an end, however slow the
// machine is: some 80 duels, 72 duels of growth and 6 parts of box each, which
// with the rest is 22 minutes at most, or 4 when quick.
type size struct {
	duel, growth    pace
	cores           pace
	profile         time.Duration // of each scenario that misses its target
	sessions        int           // in memory, for the heap and the sweep
	sweeps          int
	files, rows     int           // that the collector removes
	box             time.Duration // for what fills and sweeps: there are fewer if it takes longer
	rate, loadTurns int
	loadTurn        time.Duration
	convoyTurns     int
}

var (
	full = size{
		duel:     pace{400, 4 * time.Millisecond, 6 * time.Second},
		growth:   pace{100, 4 * time.Millisecond, 3 * time.Second},
		cores:    pace{300, 5 * time.Millisecond, 10 * time.Second},
		profile:  2 * time.Second,
		sessions: 1_000_000, sweeps: 9, files: 100_000, rows: 1_000_000, box: time.Minute,
		rate: 1000, loadTurns: 5, loadTurn: 5 * time.Second,
		convoyTurns: 20,
	}
	quick = size{
		duel:     pace{60, 3 * time.Millisecond, time.Second},
		growth:   pace{20, 2 * time.Millisecond, time.Second / 2},
		cores:    pace{60, 3 * time.Millisecond, 2 * time.Second},
		profile:  time.Second / 2,
		sessions: 200_000, sweeps: 3, files: 10_000, rows: 50_000, box: 8 * time.Second,
		rate: 1000, loadTurns: 2, loadTurn: 2 * time.Second,
		convoyTurns: 5,
	}
)

// ballastSize is what has the garbage collector run as seldom as in a server
// whose heap is that large; in a heap of 4 MB it would run all the time.
const ballastSize = 64 << 20

func main() {
	if err := execute(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func execute() error {
	var r run
	flag.BoolVar(&r.quick, "quick", false, "a short run")
	flag.BoolVar(&r.check, "check", false, "fail when a cost or a ratio got worse; write nothing")
	flag.BoolVar(&r.exact, "exact", false, "only what is exact: allocations and round trips")
	flag.BoolVar(&r.update, "update", false, "write "+exactFile)
	flag.BoolVar(&r.convoy, "convoy", false, "only many clients at few sessions of MariaDB")
	flag.StringVar(&r.profile, "profile", "", "write a CPU profile of the scenario of -only to this file (go tool pprof -tagfocus turn=yes)")
	flag.IntVar(&r.rounds, "rounds", 0, "rounds of a duel, if not the usual ones")
	flag.StringVar(&r.out, "out", "../docs/evidence", "where performance.md and performance.svg go")
	only := flag.String("only", "", "only the duels of place/scenario that match this")
	serve := flag.String("serve", "", "internal: serve the handlers over a library")
	flag.Parse()
	if *serve != "" {
		return serveUntilEOF(*serve)
	}
	var err error
	if r.only, err = regexp.Compile(*only); err != nil {
		return err
	}
	r.size = full
	if r.quick || r.check {
		r.size = quick
	}
	if r.rounds > 0 {
		r.size.duel.rounds = r.rounds
	}
	ballast := make([]byte, ballastSize)
	defer runtime.KeepAlive(ballast)
	switch {
	case r.profile != "":
		return r.writeProfile()
	case r.exact || r.update:
		return r.countAll()
	case r.convoy:
		return r.convoyAlone()
	case r.check:
		return r.checkAll()
	case *only != "":
		_, err = r.fightAll(os.Stdout)
		return err
	}
	return r.everything()
}

// wanted reports whether -only has a scenario, or with "" any, of kind.
func (r *run) wanted(kind string, s scenario) bool {
	return r.only.MatchString(kind + "/" + string(s))
}

// inPlaces opens one place after the other for f.
func (r *run) inPlaces(f func(pl *place) error) error {
	for _, kind := range kinds {
		any := false
		for _, s := range scenarios {
			any = any || r.wanted(kind, s)
		}
		if !any {
			continue
		}
		pl, err := openPlace(kind)
		if err != nil {
			return err
		}
		if err := errors.Join(f(pl), pl.close()); err != nil {
			return err
		}
	}
	return nil
}

// everything measures everything, prints it and writes the page.
func (r *run) everything() error {
	rep := &report{quick: r.quick, started: time.Now()}
	err := r.inPlaces(func(pl *place) error {
		progress("%s: duels", title[pl.kind])
		rep.servers = append(rep.servers, pl.versions()...)
		duels, err := r.duels(pl)
		if err != nil {
			return err
		}
		rep.duels = append(rep.duels, duels...)
		return r.more(rep, pl)
	})
	if err != nil {
		return err
	}
	if err := r.rest(rep); err != nil {
		return err
	}
	rep.took = time.Since(rep.started)
	if err := rep.print(os.Stdout); err != nil {
		return err
	}
	return rep.write(r.out)
}

// more measures what belongs to a place besides the duels.
func (r *run) more(rep *report, pl *place) error {
	progress("%s: costs, growth", title[pl.kind])
	for _, f := range rep.duels {
		if t, ok := targetOf(f.kind, f.scenario, f.b); ok && f.kind == pl.kind {
			rep.verdicts = append(rep.verdicts, t.judge(f.duel))
		}
	}
	if err := r.profileMisses(rep, pl); err != nil {
		return err
	}
	own, err := countPlace(pl)
	if err != nil {
		return err
	}
	t, verdicts, err := costTable(pl, own)
	if err != nil {
		return err
	}
	rep.tables = append(rep.tables, t)
	rep.verdicts = append(rep.verdicts, verdicts...)
	if t, verdicts, err = growValues(pl, r.size.growth); err != nil {
		return err
	}
	rep.tables = append(rep.tables, t)
	rep.verdicts = append(rep.verdicts, verdicts...)
	if t, err = growSize(pl, r.size.growth); err != nil {
		return err
	}
	rep.tables = append(rep.tables, t)
	switch pl.kind {
	case inMemory:
		return rep.add(cores(pl, r.size.cores))
	case inMariaDB:
		progress("MariaDB: many clients at few sessions, the collector")
		if err := r.addConvoy(rep, pl); err != nil {
			return err
		}
		return rep.add(collectRows(pl, r.size.rows, r.size.rate/5, 5*r.size.loadTurn, r.size.box))
	}
	return nil
}

// convoyTurn is how long a contender of a convoy is at work at a time.
const convoyTurn = time.Second

func (r *run) addConvoy(rep *report, pl *place) error {
	t, verdicts, err := measureConvoy(pl, r.size.convoyTurns, convoyTurn)
	rep.tables = append(rep.tables, t)
	rep.verdicts = append(rep.verdicts, verdicts...)
	return err
}

// convoyAlone measures nothing but the convoy, and prints it.
func (r *run) convoyAlone() error {
	pl, err := openPlace(inMariaDB)
	if err != nil {
		return err
	}
	rep := &report{}
	err = errors.Join(r.addConvoy(rep, pl), pl.close())
	if err != nil {
		return err
	}
	return rep.print(os.Stdout)
}

// rest measures what needs no place of the duels.
func (r *run) rest(rep *report) error {
	progress("heap, sweeps, the collector, load")
	if err := rep.add(heap(r.size.sessions, r.size.box)); err != nil {
		return err
	}
	if err := rep.add(sweepMemory(r.size.sessions, r.size.sweeps, r.size.box)); err != nil {
		return err
	}
	if err := rep.add(collectFiles(r.size.files, r.size.box)); err != nil {
		return err
	}
	t, err := load(r.size.rate, r.size.loadTurns, r.size.loadTurn)
	rep.tables = append(rep.tables, t)
	return err
}

func (rep *report) add(t table, v verdict, err error) error {
	rep.tables = append(rep.tables, t)
	rep.verdicts = append(rep.verdicts, v)
	return err
}

// write writes the page and the chart to dir, and the profiles to results.
func (rep *report) write(dir string) error {
	const page, chart, profiles = "performance.md", "performance.svg", "results/profiles.md"
	if err := os.WriteFile(profiles, []byte(rep.profiles()), 0o644); err != nil {
		return err
	}
	if err := rep.drawChart(filepath.Join(dir, chart)); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, page), []byte(rep.markdown(chart)), 0o644)
}

// duels has this library duel with each opponent in each scenario.
func (r *run) duels(pl *place) (all []fought, err error) {
	for _, s := range scenarios {
		if !r.wanted(pl.kind, s) {
			continue
		}
		own, err := pl.player(nameOurs, s)
		if err != nil {
			return nil, err
		}
		opponents := pl.opponents(s)
		if s == readBig {
			opponents = append(opponents, ownRead)
		}
		for _, name := range opponents {
			var other *player
			if name == ownRead {
				other, err = pl.player(nameOurs, read)
			} else {
				other, err = pl.player(name, s)
			}
			if err != nil {
				return nil, err
			}
			d, err := fight(own, other, r.size.duel)
			if err != nil {
				return nil, err
			}
			d.b = name
			all = append(all, fought{pl.kind, s, d})
		}
	}
	return all, nil
}

// fightAll fights the duels of -only and prints them.
func (r *run) fightAll(w *os.File) (rep *report, err error) {
	rep = &report{}
	err = r.inPlaces(func(pl *place) error {
		duels, err := r.duels(pl)
		rep.duels = append(rep.duels, duels...)
		for _, f := range duels {
			if t, ok := targetOf(f.kind, f.scenario, f.b); ok {
				rep.verdicts = append(rep.verdicts, t.judge(f.duel))
			}
		}
		return err
	})
	return rep, errors.Join(err, rep.print(w))
}

// countAll counts what is exact, and compares it with what is committed, or
// writes it.
func (r *run) countAll() error {
	now := costs{}
	err := r.inPlaces(func(pl *place) error {
		own, err := countPlace(pl)
		now[pl.kind] = own
		return err
	})
	if err != nil {
		return err
	}
	if r.update {
		return now.write()
	}
	old, err := committed()
	if err != nil {
		return err
	}
	if err := now.check(old); err != nil {
		return err
	}
	fmt.Println("allocations and round trips: none has risen")
	return nil
}

// checkAll is countAll, and the duels that have a target.
func (r *run) checkAll() error {
	err := r.countAll()
	rep, fightErr := r.fightAll(os.Stdout)
	errs := []error{err, fightErr}
	for _, v := range rep.verdicts {
		if v.outcome == missed {
			errs = append(errs, fmt.Errorf("%s: %s, measured %s", v.what, v.want, v.got))
		}
	}
	return errors.Join(errs...)
}

// progress says on standard error what is going on.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}

// Command benchmarks measures this library, those that people would otherwise
// pick and the bare drivers, side by side; see docs/evidence/performance.md for how.
//
//	go run .                 everything: prints the tables, writes docs/evidence/performance.md and its pictures
//	go run . -quick          the same in 4 minutes at most
//	go run . -check          fails when a cost or a ratio got worse
//	go run . -check -exact   only what is exact: allocations and round trips
//	go run . -convoy         only many clients at few sessions of MariaDB
//	go run . -load           only real servers under load (with -only, some of the cells; with -profile F, profiles of all servers in F-*)
//	go run . -update         writes exact.json, the costs that -check compares with
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"time"
)

// A run is what the command line asks for.
type run struct {
	quick, check, exact, update bool
	convoy, load                bool
	only                        *regexp.Regexp // of place/scenario
	profile                     string
	rounds                      int
	out                         string
	size                        size
}

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
	flag.BoolVar(&r.load, "load", false, "only real servers under load")
	flag.StringVar(&r.profile, "profile", "", "write a CPU profile of the scenario of -only to this file (go tool pprof -tagfocus turn=yes)")
	flag.IntVar(&r.rounds, "rounds", 0, "rounds of a duel, if not the usual ones")
	flag.StringVar(&r.out, "out", "../docs/evidence", "where performance.md and its pictures go")
	only := flag.String("only", "", "only the duels of place/scenario that match this")
	role := flag.String("peer", "", "internal: be a process of a load")
	flag.Parse()
	if *role != "" {
		return runPeer(*role)
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
	case r.load:
		return r.loadAlone()
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

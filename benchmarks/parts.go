package main

import (
	"errors"
	"os"
	"time"
)

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
		return errors.Join(r.judgeDuels(rep, pl), r.costs(rep, pl), r.growth(rep, pl), r.collectors(rep, pl), r.addLoad(rep, pl))
	})
	if err != nil {
		return err
	}
	progress("load")
	t, err := load(r.size.rate, r.size.loadTurns, r.size.loadTurn)
	rep.tables = append(rep.tables, t)
	if err != nil {
		return err
	}
	rep.took = time.Since(rep.started)
	if err := rep.print(os.Stdout); err != nil {
		return err
	}
	return rep.write(r.out)
}

// judgeDuels judges the duels in a place, and profiles those that missed.
func (r *run) judgeDuels(rep *report, pl *place) error {
	for _, f := range rep.duels {
		if t, ok := targetOf(f.kind, f.scenario, f.b); ok && f.kind == pl.kind {
			rep.verdicts = append(rep.verdicts, t.judge(f.duel))
		}
	}
	return r.profileMisses(rep, pl)
}

// costs counts allocations and round trips in a place.
func (r *run) costs(rep *report, pl *place) error {
	progress("%s: costs", title[pl.kind])
	own, err := countPlace(pl)
	if err != nil {
		return err
	}
	t, verdicts, err := costTable(pl, own)
	rep.tables = append(rep.tables, t)
	rep.verdicts = append(rep.verdicts, verdicts...)
	return err
}

// growth measures what becomes of a place when there is more in it.
func (r *run) growth(rep *report, pl *place) error {
	progress("%s: growth", title[pl.kind])
	for _, g := range growers {
		if err := rep.grow(pl, g, r.size.growth); err != nil {
			return err
		}
	}
	progress("%s: many sessions", title[pl.kind])
	if pl.kind != inMemory {
		return rep.many(pl, r.size.most, r.size.mostBox, r.size.numbers)
	}
	if err := rep.growMemory(r.size.mostMemory, r.size.memoryBox, r.size.numbers); err != nil {
		return err
	}
	t, err := heap(r.size.heap, r.size.box)
	rep.tables = append(rep.tables, t)
	return errors.Join(err, rep.add(cores(pl, r.size.cores)))
}

// collectors measures what the collector is to the requests in a place.
func (r *run) collectors(rep *report, pl *place) error {
	progress("%s: the collector", title[pl.kind])
	size := r.size
	switch pl.kind {
	case inMemory:
		return rep.add(sweepMemory(size.sessions, size.sweeps, size.box))
	case inFile:
		return rep.add(collectFiles(size.files, size.box))
	case inMariaDB, inPostgres:
		err := rep.add(collectRows(pl, size.rows, size.collectRate, size.collectTurns, size.collectTurn, size.box))
		if pl.kind == inPostgres {
			return err
		}
		progress("MariaDB: many clients at few sessions")
		return errors.Join(err, r.addConvoy(rep, pl))
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
		for _, name := range pl.opponents(s) {
			other, err := pl.player(name, s)
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

package main

import (
	"errors"
	"os"
	"path/filepath"
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
		return errors.Join(r.more(rep, pl), r.addLoad(rep, pl))
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

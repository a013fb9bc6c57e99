package main

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// exactFile has the costs as committed: bench-check fails when one rises.
const exactFile = "exact.json"

//go:embed exact.json
var exactJSON []byte

// costs are those of this library, by place and scenario.
type costs map[string]map[scenario]cost

func committed() (costs, error) {
	var c costs
	if err := json.Unmarshal(exactJSON, &c); err != nil {
		return nil, fmt.Errorf("%s: %w", exactFile, err)
	}
	return c, nil
}

func (c costs) write() error {
	b, err := json.MarshalIndent(c, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(exactFile, append(b, '\n'), 0o644)
}

// check returns an error for each cost that is above the committed one.
func (c costs) check(old costs) error {
	var errs []error
	for _, kind := range kinds {
		for _, s := range scenarios {
			now, was := c[kind][s], old[kind][s]
			if now.Allocs > was.Allocs {
				errs = append(errs, fmt.Errorf("%s %s: %d allocations a request beyond chi's, committed are %d", title[kind], s, now.Allocs, was.Allocs))
			}
			if now.Trips > was.Trips {
				errs = append(errs, fmt.Errorf("%s %s: %d round trips a request, committed are %d", title[kind], s, now.Trips, was.Trips))
			}
		}
	}
	return errors.Join(errs...)
}

// countPlace counts what this library's requests cost in a place.
func countPlace(pl *place) (map[scenario]cost, error) {
	all := map[scenario]cost{}
	for _, s := range scenarios {
		p, err := pl.player(nameOurs, s)
		if err != nil {
			return nil, err
		}
		if all[s], err = pl.countCost(p); err != nil {
			return nil, fmt.Errorf("%s, scenario %s: %w", pl.kind, s, err)
		}
	}
	return all, nil
}

// costTable returns the costs of all libraries in a place, and the verdicts on
// this one's.
func costTable(pl *place, own map[scenario]cost) (table, []verdict, error) {
	t := table{
		title: title[pl.kind] + ": what one request costs beyond chi itself",
		head:  []string{"scenario", "library", "allocations", "bytes", "round trips", "the server executed"},
	}
	var verdicts []verdict
	for _, s := range scenarios {
		row := func(name string, c cost) {
			trips := fmt.Sprint(c.Trips)
			if pl.redis == nil && pl.mariaDB == nil && name != nameOurs {
				trips = "" // nobody counts them
			}
			t.rows = append(t.rows, []string{fmt.Sprintf("%s: %s", s, what[s]), name, fmt.Sprint(c.Allocs), fmt.Sprint(c.Bytes), trips, c.Commands})
		}
		row(nameOurs, own[s])
		if limit, ok := mostAllocs[s]; ok && pl.kind == inMemory {
			verdicts = append(verdicts, atMost(fmt.Sprintf("memory %s, allocations beyond chi's", s), float64(own[s].Allocs), float64(limit), ""))
		}
		verdicts = append(verdicts, atMost(fmt.Sprintf("%s %s, round trips", title[pl.kind], s), float64(own[s].Trips), float64(mostTrips[s]), ""))
		for _, name := range pl.opponents(s) {
			if name == nameChi || name == nameWire || name == ownRead {
				continue
			}
			p, err := pl.player(name, s)
			if err != nil {
				return t, nil, err
			}
			c, err := pl.countCost(p)
			if err != nil {
				return t, nil, err
			}
			row(name, c)
		}
	}
	return t, verdicts, nil
}

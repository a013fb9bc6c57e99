package main

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
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
	var names []string
	for _, name := range pl.order {
		if name != nameWire {
			names = append(names, name)
		}
	}
	t := table{
		section: counted, title: title[pl.kind] + ": what one request costs beyond chi itself",
		head: append(append([]string{"", nameOurs}, names...), "the server executed, for "+nameOurs),
		note: "Allocations · bytes · round trips to the store.",
	}
	for _, s := range asked {
		row := []string{what[s], own[s].String()}
		for _, name := range names {
			c := "–"
			if slices.Contains(pl.opponents(s), name) {
				p, err := pl.player(name, s)
				if err != nil {
					return t, nil, err
				}
				counted, err := pl.countCost(p)
				if err != nil {
					return t, nil, err
				}
				c = counted.String()
				if pl.redis == nil && pl.mariaDB == nil {
					c = c[:strings.LastIndex(c, " · ")] // nobody counts its round trips
				}
			}
			row = append(row, c)
		}
		t.rows = append(t.rows, append(row, own[s].Commands))
	}
	verdicts := []verdict{limits(title[pl.kind]+": round trips", own, mostTrips, func(c cost) int { return c.Trips })}
	if pl.kind == inMemory {
		verdicts = append(verdicts, limits("memory: allocations beyond chi's", own, mostAllocs, func(c cost) int { return c.Allocs }))
	}
	return t, verdicts, nil
}

func (c cost) String() string {
	return fmt.Sprintf("%d · %s · %d", c.Allocs, thousands(c.Bytes), c.Trips)
}

// limits judges what was counted in several scenarios: one above its limit
// misses.
func limits(what string, own map[scenario]cost, most map[scenario]int, of func(cost) int) verdict {
	var names, wants, gots []string
	v := verdict{}
	for _, s := range asked {
		limit, ok := most[s]
		if !ok {
			continue
		}
		got := of(own[s])
		names, wants, gots = append(names, brief[s]), append(wants, fmt.Sprint(limit)), append(gots, fmt.Sprint(got))
		v.outcome = max(v.outcome, notAbove(float64(got), float64(got), float64(limit)))
	}
	v.what = what + " (" + strings.Join(names, ", ") + ")"
	v.want, v.got = "≤ "+strings.Join(wants, ", "), strings.Join(gots, ", ")
	return v
}

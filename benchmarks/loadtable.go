package main

import (
	"fmt"
	"slices"
	"time"
)

// loadNames is what the scenarios of a load are called.
var loadNames = map[scenario]string{read: "read", write: "read and write", login: "login"}

// loadTable prints what all contenders did with loadClients clients.
func loadTable(cells []cell, size loadSize) table {
	t := table{
		title: fmt.Sprintf("%s under load: %d clients", title[cells[0].kind], cells[0].clients),
		head: []string{"", "requests a second", "p50", "p99", "p99.9", "CPU a request", "allocated",
			"session ÷ it: requests a second", "p99", "CPU a request"},
		note: fmt.Sprintf("Medians of at most %d turns of %v, in random order; p99.9 is over all of them. The process of the clients took %s a request.",
			size.turns.rounds, size.turns.turn, micros(time.Duration(cells[0].of[nameOurs].median(byClients)))),
	}
	if !slices.Contains(size.scenarios, login) {
		t.note += " Logins and other numbers of clients are in a full run only."
	}
	for _, c := range cells {
		for _, name := range c.names {
			of := c.of[name]
			row := []string{
				rowName(name, c),
				thousands(int(of.median(byRate))), micros(time.Duration(of.median(byP50))), micros(time.Duration(of.median(byP99))),
				micros(percentile(of.times, 99.9)), micros(time.Duration(of.median(byCPU))), thousands(int(of.median(bySize))) + " B", "", "", "",
			}
			if name != nameOurs {
				row[7], row[8], row[9] = spread(c.ratio(byRate, name)), spread(c.ratio(byP99, name)), spread(c.ratio(byCPU, name))
			}
			t.rows = append(t.rows, row)
		}
	}
	return t
}

// rowName returns what the row of a contender is called, with what failed in cells.
func rowName(name string, cells ...cell) string {
	row := loadNames[cells[0].scenario] + ": " + name
	failed, all := 0, 0
	for _, c := range cells {
		failed += c.of[name].failed
		all += len(c.of[name].times)
	}
	if failed > 0 {
		row += fmt.Sprintf(" (%s of %s failed)", thousands(failed), thousands(all))
	}
	return row
}

// clientsTable prints what other numbers of clients make of it: cells of one
// scenario lie side by side.
func clientsTable(cells []cell, size loadSize) table {
	t := table{
		title: title[cells[0].kind] + " under load: other numbers of clients",
		head:  []string{""},
		note:  fmt.Sprintf("Medians of at most %d turns of %v: not as exact as those above.", size.few.rounds, size.few.turn),
	}
	for _, n := range size.others {
		t.head = append(t.head, fmt.Sprintf("%d: requests a second", n), "p99", "CPU a request")
	}
	for len(cells) > 0 {
		side := cells[:len(size.others)]
		cells = cells[len(side):]
		for _, name := range side[0].names {
			row := []string{rowName(name, side...)}
			for _, c := range side {
				of := c.of[name]
				row = append(row, thousands(int(of.median(byRate))), micros(time.Duration(of.median(byP99))), micros(time.Duration(of.median(byCPU))))
			}
			t.rows = append(t.rows, row)
		}
	}
	return t
}

package main

import "fmt"

// The chart on the page's first screen: the time of a request, one row for each
// backend, reading and writing, one mark for each library.

// charted are the libraries of the chart, in the order of their marks.
var charted = []struct {
	label string
	names []string
}{
	{"chi + bare driver", []string{nameRaw}},
	{"session", []string{nameOurs}},
	{"scs", []string{nameSCS}},
	{"gorilla (file), redistore (Redis)", []string{nameGorilla, nameRedi}},
}

// ownMark is where this library is in charted.
const ownMark = 1

const (
	chartWidth = 760
	chartLeft  = 150 // room for the rows' names
	chartRight = 60  // room for their numbers
	chartTop   = 52  // room for title and legend
	rowHeight  = 22
)

// A chartRow is one row: the time in µs of each library, 0 if it has none.
type chartRow struct {
	name  string
	times []float64
}

// chart draws the chart.
func (rep *report) chart() []byte {
	groups := []struct {
		title string
		rows  []chartRow
	}{{"reading one value", rep.chartRows(read)}, {"reading and writing one", rep.chartRows(write)}}
	d := &drawing{width: chartWidth}
	low, high := 1.0, 1.0
	height := 0.0
	for _, g := range groups {
		height += rowHeight * float64(len(g.rows)+1)
		for _, row := range g.rows {
			for _, us := range row.times {
				if us > 0 {
					low, high = min(low, us), max(high, us)
				}
			}
		}
	}
	low, high = decades(low, high)
	x := scale{low: low, high: high, from: chartLeft, to: chartWidth - chartRight}
	d.height = chartTop + height + 30
	d.text(10, 18, "start", "title", "Time of a request in µs, on a logarithmic scale: further left is faster")
	d.legend(10, 38)
	for _, at := range x.ticks() {
		d.line(x.at(at), chartTop+4, x.at(at), d.height-24, "grid")
		d.text(x.at(at), d.height-8, "middle", "small", short(at))
	}
	y := float64(chartTop)
	for _, g := range groups {
		y += rowHeight
		d.text(10, y-5, "start", "title", g.title)
		for _, row := range g.rows {
			y += rowHeight
			d.row(row, x, y-rowHeight/2)
		}
	}
	return d.svg("Time of a request by backend and library, in µs")
}

func (d *drawing) legend(x, y float64) {
	for i, c := range charted {
		d.mark(x+6, y-4, i)
		d.text(x+18, y, "start", "", c.label)
		x += 38 + 6.6*float64(len(c.label))
	}
}

// row draws a row around y, and prints this library's time at its end.
func (d *drawing) row(row chartRow, x scale, y float64) {
	d.text(chartLeft-14, y+4, "end", "", row.name)
	d.line(chartLeft, y, chartWidth-chartRight, y, "grid")
	for i, us := range row.times {
		if us > 0 && i != ownMark {
			d.mark(x.at(us), y, i)
		}
	}
	d.mark(x.at(row.times[ownMark]), y, ownMark) // over the others
	d.text(chartWidth-chartRight+10, y+4, "start", "small", fmt.Sprintf("%s µs", number(row.times[ownMark])))
}

// chartRows returns the rows of a scenario. This library's time is that of its
// duel with the bare driver. The others stand as far from it as their duels with
// it say, which are fair, whatever the machine was at in the minutes between.
func (rep *report) chartRows(s scenario) (rows []chartRow) {
	for _, kind := range kinds {
		bare, ok := rep.fight(kind, s, nameRaw)
		if !ok {
			continue
		}
		own := float64(bare.timeA) / 1000
		row := chartRow{name: title[kind], times: make([]float64, len(charted))}
		for i, c := range charted {
			for _, name := range c.names {
				if d, ok := rep.fight(kind, s, name); ok && d.ratio > 0 {
					row.times[i] = own / d.ratio
				}
			}
		}
		row.times[ownMark] = own
		rows = append(rows, row)
	}
	return rows
}

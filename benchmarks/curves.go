package main

import (
	"fmt"
	"math"
	"time"
)

// The picture of growth: small multiples, each with a curve for each backend.

// A panel is one of the small multiples.
type panel struct {
	title  string
	guide  bool    // draw what grows with it in proportion
	linear bool    // the vertical axis begins at zero and is linear
	least  float64 // the vertical axis goes up to here at least
}

// The panels, in the order in which they are read.
const (
	panelReadValues = iota
	panelWriteValues
	panelReadSize
	panelWriteSize
	panelP50
	panelP99
	panelBytes
	panelPause
	panelMemoryRead
)

var panels = []panel{
	panelReadValues:  {"read one of n values, × that of 10", true, false, 100},
	panelWriteValues: {"write one of n values, × that of 10", true, false, 100},
	panelReadSize:    {"read n bytes, × that of 100", true, false, 1},
	panelWriteSize:   {"write beside n bytes, × that of 100", true, false, 1},
	panelP50:         {"read among n sessions, p50 in µs", false, false, 10},
	panelP99:         {"read among n sessions, p99 in µs", false, false, 10},
	panelBytes:       {"memory: bytes a session", false, true, 300},
	panelPause:       {"memory: the longest GC pause in µs", false, false, 1000},
	panelMemoryRead:  {"memory: p99 of a read in µs, during GC", false, false, 100},
}

// A curve is one in a panel, of a backend.
type curve struct {
	panel  int
	kind   string
	points []point
}

// add adds a time to the curve, in µs.
func (c *curve) add(n int, took time.Duration) {
	c.points = append(c.points, point{float64(n), float64(took) / 1000})
}

const (
	panelColumns = 3
	panelWidth   = 270
	panelHeight  = 200
	curvesTop    = 40
)

// growthChart draws the curves that there are.
func (rep *report) growthChart() []byte {
	rows := (len(panels) + panelColumns - 1) / panelColumns
	d := &drawing{width: panelColumns * panelWidth, height: float64(curvesTop + rows*panelHeight)}
	x := 10.0
	for i, kind := range kinds {
		d.mark(x+6, 18, i+1)
		d.text(x+18, 22, "start", "", title[kind])
		x += 100
	}
	d.line(x, 18, x+24, 18, "guide")
	d.text(x+30, 22, "start", "", "in proportion")
	for i, p := range panels {
		var curves []curve
		for _, c := range rep.curves {
			if c.panel == i {
				c.points = drawable(c.points)
				curves = append(curves, c)
			}
		}
		d.panel(p, curves, float64(i%panelColumns*panelWidth), float64(curvesTop+i/panelColumns*panelHeight))
	}
	return d.svg("How times and memory grow, by backend")
}

// drawable returns the points that have a place on a logarithmic scale.
func drawable(points []point) (kept []point) {
	for _, p := range points {
		if p.x > 0 && p.y > 0 && !math.IsInf(p.x, 0) && !math.IsInf(p.y, 0) {
			kept = append(kept, p)
		}
	}
	return kept
}

// panel draws p, whose top left corner is given.
func (d *drawing) panel(p panel, curves []curve, left, top float64) {
	d.text(left+10, top+16, "start", "title small", p.title)
	x, y, drawn := p.scales(curves)
	if !drawn {
		d.text(left+10, top+40, "start", "small", "not measured in this run")
		return
	}
	x.from, x.to = left+46, left+panelWidth-16
	y.from, y.to = top+panelHeight-36, top+28
	for _, at := range y.ticks() {
		d.line(x.from, y.at(at), x.to, y.at(at), "grid")
		d.text(x.from-6, y.at(at)+4, "end", "small", short(at))
	}
	for _, at := range x.ticks() {
		d.text(x.at(at), y.from+16, "middle", "small", short(at))
	}
	if p.guide {
		end := min(x.high/x.low, y.high)
		d.line(x.at(x.low), y.at(1), x.at(x.low*end), y.at(end), "guide")
	}
	for _, c := range curves {
		class := 1
		for i, kind := range kinds {
			if kind == c.kind {
				class = i + 1
			}
		}
		var points []point
		for _, at := range c.points {
			points = append(points, point{x.at(at.x), y.at(at.y)})
		}
		d.curve(points, fmt.Sprintf("c%d", class))
		for _, at := range points {
			d.mark(at.x, at.y, class)
		}
	}
}

// scales returns axes on which all points are; false if there are none.
func (p panel) scales(curves []curve) (x, y scale, drawn bool) {
	lowX, highX, lowY, highY := math.Inf(1), 0.0, math.Inf(1), p.least
	for _, c := range curves {
		for _, at := range c.points {
			lowX, highX = min(lowX, at.x), max(highX, at.x)
			lowY, highY = min(lowY, at.y), max(highY, at.y)
			drawn = true
		}
	}
	if !drawn {
		return x, y, false
	}
	x.low, x.high = decades(lowX, highX)
	if p.linear {
		y.high, y.linear = math.Ceil(highY/100)*100, true
		return x, y, true
	}
	if p.guide {
		lowY = min(lowY, 1)
	}
	y.low, y.high = decades(lowY, highY)
	return x, y, true
}

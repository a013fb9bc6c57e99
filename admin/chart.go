package admin

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// A chart is the latency over time, drawn twice: an SVG shrinks with its
// letters, so a phone gets one of its own.
type chart struct {
	Drawings []drawing
	Summary  string
	Rows     []Sample // those with calls, the latest first
}

// A canvas is where a drawing has what, in its own units.
type canvas struct {
	Class                    string
	Width, Height            int
	Left, Right, Top, Bottom int // of the field in which the lines are
}

var canvases = []canvas{
	{Class: "desk", Width: 900, Height: 260, Left: 76, Right: 890, Top: 12, Bottom: 228},
	{Class: "phone", Width: 360, Height: 240, Left: 58, Right: 350, Top: 10, Bottom: 210},
}

// A drawing is what one SVG is made of. Its y axis is logarithmic: the slow
// calls of a store are ten to a thousand times as slow as half of them.
type drawing struct {
	canvas
	X, Y     []tick
	P50, P99 line
	Errors   []string // x of the slots in which calls failed
}

type tick struct{ At, Text, Anchor string }

// A line is one of the quantiles over time.
type line struct {
	Stretches []string // polylines, one for each run of samples without a gap
	Dots      []dot
}

type dot struct{ X, Y string }

// Where more slots than this are drawn, samples need no dot to be seen.
const maxDotted = 30

// spans are how many minutes a chart can be wide: as few as show all calls, so
// that the first samples of a new process are not crowded at the edge.
var spans = []int{1, 2, 5, 15}

// newChart draws samples; nil if there was no call.
func newChart(samples []Sample) *chart {
	minutes := span(samples)
	slots := minutes * int(time.Minute/slotWidth)
	samples = samples[max(0, len(samples)-slots):]
	c := &chart{}
	for i := len(samples) - 1; i >= 0; i-- {
		if samples[i].Calls > 0 {
			c.Rows = append(c.Rows, samples[i])
		}
	}
	if len(c.Rows) == 0 {
		return nil
	}
	for _, canvas := range canvases {
		c.Drawings = append(c.Drawings, canvas.draw(samples, minutes, slots))
	}
	c.Summary = summary(c.Rows)
	return c
}

// span returns how many minutes show all samples that have calls.
func span(samples []Sample) int {
	for i, s := range samples {
		if s.Calls == 0 {
			continue
		}
		for _, minutes := range spans {
			if time.Duration(len(samples)-i)*slotWidth <= time.Duration(minutes)*time.Minute {
				return minutes
			}
		}
	}
	return spans[len(spans)-1]
}

// summary says in words what the chart shows. rows are the samples with calls,
// the latest first.
func summary(rows []Sample) string {
	calls, failures, slowest := 0, 0, time.Duration(0)
	for _, s := range rows {
		calls, failures, slowest = calls+s.Calls, failures+s.Errors, max(slowest, s.Max)
	}
	return fmt.Sprintf("%d store calls in the last 15 minutes, %d of them failed; in the last ten seconds with a call, half took less than %s and 99 %% less than %s; the slowest took %s.",
		calls, failures, short(rows[0].P50), short(rows[0].P99), short(slowest))
}

// draw draws samples, of which some have calls, into so many slots; the last
// one is at the right edge.
func (c canvas) draw(samples []Sample, minutes, slots int) drawing {
	low, high := decades(samples)
	y := func(log float64) float64 {
		return float64(c.Top) + float64(c.Bottom-c.Top)*(high-log)/(high-low)
	}
	x := func(i int) float64 {
		return float64(c.Right) - float64(len(samples)-1-i)*float64(c.Right-c.Left)/float64(slots-1)
	}
	d := drawing{canvas: c, X: c.times(minutes)}
	for log := low; log <= high; log++ {
		d.Y = append(d.Y, tick{At: place(y(log)), Text: short(time.Duration(math.Round(math.Pow(10, log))))})
	}
	d.P50 = newLine(samples, x, func(s Sample) float64 { return y(logOf(s.P50)) }, slots <= maxDotted)
	d.P99 = newLine(samples, x, func(s Sample) float64 { return y(logOf(s.P99)) }, slots <= maxDotted)
	for i, s := range samples {
		if s.Errors > 0 {
			d.Errors = append(d.Errors, place(x(i)))
		}
	}
	return d
}

// times are the marks of the x axis.
func (c canvas) times(minutes int) []tick {
	first := fmt.Sprintf("%d minutes ago", minutes)
	if minutes == 1 {
		first = "1 minute ago"
	}
	return []tick{{place(float64(c.Left)), first, "start"}, {place(float64(c.Right)), "now", "end"}}
}

// decades returns the powers of ten between which all latencies are.
func decades(samples []Sample) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, s := range samples {
		if s.Calls > 0 {
			low, high = min(low, logOf(s.P50)), max(high, logOf(s.P99))
		}
	}
	low = math.Floor(low)
	return low, max(low+1, math.Ceil(high))
}

// logOf is the logarithm of a latency, of a microsecond at least.
func logOf(d time.Duration) float64 { return math.Log10(float64(max(d, time.Microsecond))) }

func place(v float64) string { return fmt.Sprintf("%.1f", v) }

// newLine returns the line through the samples with calls, with a dot for each
// or, unless dotted, for those that have no neighbour: they would not be seen.
func newLine(samples []Sample, x func(int) float64, y func(Sample) float64, dotted bool) (l line) {
	var run []dot
	end := func() {
		if len(run) > 1 {
			l.Stretches = append(l.Stretches, points(run))
		}
		if dotted || len(run) == 1 {
			l.Dots = append(l.Dots, run...)
		}
		run = nil
	}
	for i, s := range samples {
		if s.Calls == 0 {
			end()
			continue
		}
		run = append(run, dot{place(x(i)), place(y(s))})
	}
	end()
	return l
}

// points is a run of dots as an SVG polyline has it.
func points(run []dot) string {
	texts := make([]string, len(run))
	for i, d := range run {
		texts[i] = d.X + "," + d.Y
	}
	return strings.Join(texts, " ")
}

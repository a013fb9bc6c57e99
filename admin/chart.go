package admin

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// The places in the chart, in its own units.
const (
	chartWidth  = 900
	chartHeight = 260
	chartLeft   = 64
	chartTop    = 12
	chartBottom = chartHeight - 28
)

// A chart is what the SVG is made of. Its y axis is logarithmic: the slow
// calls of a store are ten to a thousand times as slow as half of them.
type chart struct {
	Width, Height, Left int
	LabelX, LabelY      int
	Bottom, Mark        int
	X, Y                []tick
	P50, P99            []string // polylines, one for each stretch without a gap
	Errors              []string // x of the slots in which calls failed
	Summary             string
	Rows                []Sample // those with calls, the latest first
}

type tick struct {
	At     string
	Text   string
	Anchor string
}

// newChart draws samples; nil if there was no call.
func newChart(samples []Sample) *chart {
	c := &chart{
		Width: chartWidth, Height: chartHeight, Left: chartLeft, LabelX: chartLeft - 8, LabelY: chartHeight - 8,
		Bottom: chartBottom, Mark: chartBottom - 8,
	}
	calls, failures, slowest := 0, 0, time.Duration(0)
	low, high := math.Inf(1), math.Inf(-1)
	for i := len(samples) - 1; i >= 0; i-- {
		s := samples[i]
		if s.Calls == 0 {
			continue
		}
		c.Rows = append(c.Rows, s)
		calls, failures, slowest = calls+s.Calls, failures+s.Errors, max(slowest, s.Max)
		low, high = min(low, logOf(s.P50)), max(high, logOf(s.P99))
	}
	if calls == 0 {
		return nil
	}
	low, high = math.Floor(low), max(math.Floor(low)+1, math.Ceil(high))
	y := func(log float64) float64 {
		return chartTop + (chartBottom-chartTop)*(high-log)/(high-low)
	}
	for log := low; log <= high; log++ {
		c.Y = append(c.Y, tick{At: place(y(log)), Text: short(time.Duration(math.Round(math.Pow(10, log))))})
	}
	x := func(i int) float64 { // the last sample is at the right edge
		return chartWidth - 6 - float64(len(samples)-1-i)*(chartWidth-6-chartLeft)/(slotCount-1)
	}
	c.P50 = stretches(samples, x, func(s Sample) float64 { return y(logOf(s.P50)) })
	c.P99 = stretches(samples, x, func(s Sample) float64 { return y(logOf(s.P99)) })
	for i, s := range samples {
		if s.Errors > 0 {
			c.Errors = append(c.Errors, place(x(i)))
		}
	}
	c.X = []tick{{place(chartLeft), "15 minutes ago", "start"}, {place((chartLeft + chartWidth) / 2), "7½", "middle"}, {place(chartWidth - 6), "now", "end"}}
	c.Summary = fmt.Sprintf("%d store calls in the last 15 minutes, %d of them failed; in the last ten seconds with a call, half took less than %s and 99 %% less than %s; the slowest took %s.",
		calls, failures, short(c.Rows[0].P50), short(c.Rows[0].P99), short(slowest))
	return c
}

// logOf is the logarithm of a latency, of a microsecond at least.
func logOf(d time.Duration) float64 { return math.Log10(float64(max(d, time.Microsecond))) }

func place(v float64) string { return fmt.Sprintf("%.1f", v) }

// stretches returns the lines through the samples with calls, one for each run
// of neighbours. A sample alone is a line to itself, which a round cap shows
// as a dot.
func stretches(samples []Sample, x func(int) float64, y func(Sample) float64) (lines []string) {
	var points []string
	end := func() {
		if len(points) == 1 {
			points = append(points, points[0])
		}
		if len(points) > 0 {
			lines = append(lines, strings.Join(points, " "))
		}
		points = nil
	}
	for i, s := range samples {
		if s.Calls == 0 {
			end()
			continue
		}
		points = append(points, place(x(i))+","+place(y(s)))
	}
	end()
	return lines
}

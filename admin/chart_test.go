package admin

import (
	"strconv"
	"testing"
	"time"
)

// sampled returns samples of which those at the given indices have calls.
func sampled(n int, at ...int) []Sample {
	samples := make([]Sample, n)
	for _, i := range at {
		samples[i] = Sample{Calls: 5, P50: time.Millisecond, P99: 20 * time.Millisecond, Max: 30 * time.Millisecond}
	}
	return samples
}

func number64(t *testing.T, text string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestChartOfTwo: with two samples, as of a process that has just started, one
// sees two dots, well apart, and the line between them, inside of every canvas.
func TestChartOfTwo(t *testing.T) {
	c := newChart(sampled(2, 0, 1))
	if len(c.Drawings) != 2 || len(c.Rows) != 2 {
		t.Fatalf("%d drawings and %d rows, want 2 and 2", len(c.Drawings), len(c.Rows))
	}
	for _, d := range c.Drawings {
		if got := d.X[0].Text + ", " + d.X[1].Text; got != "1 minute ago, now" {
			t.Errorf("%s: the axis says %s", d.Class, got)
		}
		for name, l := range map[string]line{"p50": d.P50, "p99": d.P99} {
			if len(l.Dots) != 2 || len(l.Stretches) != 1 {
				t.Errorf("%s, %s: %d dots and %d lines, want 2 and 1", d.Class, name, len(l.Dots), len(l.Stretches))
				continue
			}
			first, second := number64(t, l.Dots[0].X), number64(t, l.Dots[1].X)
			if second-first < 40 || first < float64(d.Left) || second > float64(d.Right) {
				t.Errorf("%s, %s: the dots are at %v and %v, want them apart, between %d and %d", d.Class, name, first, second, d.Left, d.Right)
			}
			if y := number64(t, l.Dots[0].Y); y < float64(d.Top) || y > float64(d.Bottom) {
				t.Errorf("%s, %s: a dot is at the height %v, want it between %d and %d", d.Class, name, y, d.Top, d.Bottom)
			}
		}
		if number64(t, d.P99.Dots[0].Y) >= number64(t, d.P50.Dots[0].Y) {
			t.Errorf("%s: the slow calls are not above the others", d.Class)
		}
		if len(d.Y) < 2 {
			t.Errorf("%s: the y axis has %d marks", d.Class, len(d.Y))
		}
	}
}

// TestChartSpan: the chart is as wide as its calls are old.
func TestChartSpan(t *testing.T) {
	for _, c := range []struct {
		samples []Sample
		want    string
	}{
		{sampled(1, 0), "1 minute ago"},
		{sampled(90, 89), "1 minute ago"},
		{sampled(7, 0, 6), "2 minutes ago"},
		{sampled(90, 70, 89), "5 minutes ago"},
		{sampled(90, 0), "15 minutes ago"},
	} {
		if got := newChart(c.samples).Drawings[0].X[0].Text; got != c.want {
			t.Errorf("%d samples: the axis begins %s, want %s", len(c.samples), got, c.want)
		}
	}
	if newChart(sampled(90)) != nil {
		t.Error("there is a chart of no call")
	}
}

// TestChartGaps: a line ends where there was no call, and a sample without
// neighbours is a dot, however many others there are.
func TestChartGaps(t *testing.T) {
	samples := sampled(90, 0, 1, 2, 40, 88, 89)
	samples[40].Errors = 1
	for _, d := range newChart(samples).Drawings {
		if len(d.P50.Stretches) != 2 || len(d.P50.Dots) != 1 || len(d.Errors) != 1 || d.Errors[0] != d.P50.Dots[0].X {
			t.Errorf("%s: %d lines, %d dots, failures at %v; want 2, 1 and one where the dot is", d.Class, len(d.P50.Stretches), len(d.P50.Dots), d.Errors)
		}
	}
}

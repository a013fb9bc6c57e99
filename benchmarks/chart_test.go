package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"
)

// wellFormed fails the test if svg is no XML, or has a coordinate that is no
// number.
func wellFormed(t *testing.T, name string, svg []byte) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(svg))
	elements := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v in\n%s", name, err, svg)
		}
		if _, ok := token.(xml.StartElement); ok {
			elements++
		}
	}
	if elements < 3 {
		t.Errorf("%s has %d elements: is there a picture?", name, elements)
	}
	for _, bad := range []string{"NaN", "Inf", "%!"} {
		if bytes.Contains(svg, []byte(bad)) {
			t.Errorf("%s has %q in it:\n%s", name, bad, svg)
		}
	}
}

// measuredBefore is a report as a run would make it.
func measuredBefore() *report {
	rep := &report{started: time.Now()}
	for _, kind := range kinds {
		for _, s := range []scenario{read, write} {
			for i, against := range []string{nameRaw, nameSCS, nameGorilla} {
				us := time.Microsecond * time.Duration(1+10*i)
				rep.duels = append(rep.duels, fought{kind, s, duel{a: nameOurs, b: against, ratio: 2, low: 1, high: 3, timeA: 2 * us, timeB: us}})
			}
		}
		for i := range panels {
			rep.curves = append(rep.curves, curve{i, kind, []point{{10_000, 1}, {437_000, 12.5}, {1_000_000, 70}}})
		}
	}
	return rep
}

func TestChart(t *testing.T) {
	svg := measuredBefore().chart()
	wellFormed(t, "the chart", svg)
	for _, want := range []string{"memory", "PostgreSQL", "redistore", "prefers-color-scheme:dark"} {
		if !bytes.Contains(svg, []byte(want)) {
			t.Errorf("the chart has no %q", want)
		}
	}
	// Five rows twice, with a mark for each of four libraries, and the legend's.
	if got, want := bytes.Count(svg, []byte(`class="mark`)), 2*5*4+4; got != want {
		t.Errorf("the chart has %d marks, want %d", got, want)
	}
}

func TestGrowthChart(t *testing.T) {
	svg := measuredBefore().growthChart()
	wellFormed(t, "the picture of growth", svg)
	if got, want := bytes.Count(svg, []byte("<polyline")), len(panels)*len(kinds); got != want {
		t.Errorf("it has %d curves, want %d", got, want)
	}
	for _, p := range panels {
		if !bytes.Contains(svg, []byte(">"+p.title+"<")) {
			t.Errorf("it has no panel %q", p.title)
		}
	}
}

// TestChartsOfLittle: a run of -only measures next to nothing, and a clock may
// have stood still.
func TestChartsOfLittle(t *testing.T) {
	for name, rep := range map[string]*report{
		"nothing": {},
		"a time of 0": {
			duels:  []fought{{inMemory, read, duel{b: nameRaw, timeA: 1}}},
			curves: []curve{{panelP99, inMemory, []point{{10_000, 0}}}, {panelBytes, inMemory, []point{{10_000, 0}}}},
		},
		"no number": {
			curves: []curve{{panelReadSize, inFile, []point{{100, 1}, {1000, math.NaN()}, {10_000, math.Inf(1)}}}},
		},
	} {
		wellFormed(t, "the chart of "+name, rep.chart())
		wellFormed(t, "the growth of "+name, rep.growthChart())
	}
}

func TestTicks(t *testing.T) {
	for _, test := range []struct {
		s    scale
		want string
	}{
		{scale{low: 10, high: 1000}, "10 100 1000"},
		{scale{low: 0.1, high: 10}, "0.1 1 10"},
		{scale{low: 0, high: 400, linear: true}, "0 100 200 300 400"},
	} {
		var got []string
		for _, x := range test.s.ticks() {
			got = append(got, short(x))
		}
		if s := strings.Join(got, " "); s != test.want {
			t.Errorf("ticks from %v to %v are %s, want %s", test.s.low, test.s.high, s, test.want)
		}
	}
}

func TestShort(t *testing.T) {
	for x, want := range map[float64]string{0.1: "0.1", 3: "3", 1000: "1000", 10_000: "10k", 437_000: "437k", 1e6: "1M", 1e7: "10M"} {
		if got := short(x); got != want {
			t.Errorf("short(%v) = %s, want %s", x, got, want)
		}
	}
}

// TestChartStandsByRatios: times of different duels were measured minutes apart,
// and are not what the chart compares.
func TestChartStandsByRatios(t *testing.T) {
	us := time.Microsecond
	rep := &report{duels: []fought{
		{inMariaDB, write, duel{b: nameRaw, ratio: 1.25, timeA: 100 * us, timeB: 80 * us}},
		{inMariaDB, write, duel{b: nameSCS, ratio: 0.5, timeA: 10 * us, timeB: 20 * us}}, // when the machine was less busy
	}}
	rows := rep.chartRows(write)
	if len(rows) != 1 {
		t.Fatalf("%d rows, want that of MariaDB alone", len(rows))
	}
	for i, want := range []float64{80, 100, 200, 0} {
		if got := rows[0].times[i]; got != want {
			t.Errorf("%s stands at %v µs, want %v", charted[i].label, got, want)
		}
	}
}

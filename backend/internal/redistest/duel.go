package redistest

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Duel has two functions take turns, in random order, and reports the median of
// the ratios between neighbours: what the machine does meanwhile hits both. ns/op is
// one turn of each, raw-ns the median of one call of raw.
func Duel(b *testing.B, raw, ours func() error) {
	b.Helper()
	const turn = 32
	measure := func(fn func() error) float64 {
		start := time.Now()
		for range turn {
			if err := fn(); err != nil {
				b.Fatal(err)
			}
		}
		return float64(time.Since(start))
	}
	var ratios, raws []float64
	for b.Loop() {
		var r, o float64
		if rand.IntN(2) == 0 {
			r, o = measure(raw), measure(ours)
		} else {
			o, r = measure(ours), measure(raw)
		}
		ratios, raws = append(ratios, o/r), append(raws, r/turn)
	}
	slices.Sort(ratios)
	slices.Sort(raws)
	b.ReportMetric(ratios[len(ratios)/2], "ratio")
	b.ReportMetric(ratios[len(ratios)*3/4]-ratios[len(ratios)/4], "spread")
	b.ReportMetric(raws[len(raws)/2], "raw-ns")
}

package main

import (
	"runtime"
	"runtime/debug"
	"time"
)

// duringGC reads for a while, in which one collection follows the other, and
// returns the 99th percentile.
func (m *memoryPool) duringGC(lasts time.Duration) (p99 time.Duration, err error) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	v := m.visitor()
	for start := time.Now(); time.Since(start) < lasts && err == nil; {
		_, err = timed(v, 1000)
	}
	close(stop)
	<-stopped
	_, p99 = v.percentiles()
	return p99, err
}

// collections collects garbage n times, or as often as it can in most, and
// returns the median of what that took, and the longest pause of a cycle.
func collections(n int, most time.Duration) (cycle, pause time.Duration) {
	var times []float64
	var stats debug.GCStats
	for begun := time.Now(); len(times) < n && (len(times) == 0 || time.Since(begun) < most); {
		start := time.Now()
		runtime.GC()
		times = append(times, float64(time.Since(start)))
		debug.ReadGCStats(&stats)
		pause = max(pause, stats.Pause[0])
	}
	return median(times), pause
}

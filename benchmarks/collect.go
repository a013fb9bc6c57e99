package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/chisession/session/backend"
)

// collectFiles measures how fast n expired files are removed, or as many as
// can be made in half of box and removed in the other.
func collectFiles(n int, box time.Duration) (table, verdict, error) {
	t := table{section: collector, title: "file: expired files", head: []string{"files", "removed in", "files a second"}}
	dir, err := os.MkdirTemp("", "session-bench-")
	if err != nil {
		return t, verdict{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // it is in the system's temporary directory
	store, err := backend.Open(inFile, filepath.Join(dir, "sessions"))
	if err != nil {
		return t, verdict{}, err
	}
	lib, err := newOurs(store)
	if err != nil {
		return t, verdict{}, err
	}
	defer lib.m.Close()
	if _, err = filler(store, n, time.Now().Add(-time.Minute), box/2); err != nil {
		return t, verdict{}, err
	}
	swept, took, err := sweepFor(lib, box/2)
	if err != nil {
		return t, verdict{}, err
	}
	rate := float64(swept) / took.Seconds()
	t.rows = [][]string{{thousands(swept), took.Round(time.Millisecond).String(), thousands(int(rate))}}
	return t, atLeast("file: expired files removed in a second", rate, 20_000), nil
}

// sweepFor has the collector remove what has expired, until there is no more or
// the time is over, and returns how much it was and how long it took.
func sweepFor(lib *ours, lasts time.Duration) (removed int, took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), lasts)
	defer cancel()
	start := time.Now()
	removed, err = lib.m.Sweep(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil
	}
	return removed, time.Since(start), err
}

// A rowCollector is an open load on a database, reads and writes, with expired rows
// that can be removed meanwhile.
type rowCollector struct {
	pl          *place
	rate        int
	turn        time.Duration
	players     [16]*player
	quiet, busy [][]time.Duration // what the requests took, turn by turn
	ratios      []float64         // of the 99th percentiles of neighbours
	removed     int
	sweeping    time.Duration
}

// collectRows measures an open load in turns, alone and while expired rows are
// removed, until n of these are, or as many as can be made in box.
func collectRows(pl *place, n, rate, turns int, turn, box time.Duration) (t table, v verdict, err error) {
	c := rowCollector{pl: pl, rate: rate, turn: turn}
	for i := range c.players {
		if c.players[i], err = pl.player(nameOurs, []scenario{read, write}[i%2]); err != nil {
			return t, v, err
		}
	}
	if err := expiredRows(pl, n, box); err != nil {
		return t, v, err
	}
	for more := true; more && len(c.ratios) < turns; {
		if more, err = c.round(); err != nil {
			return t, v, err
		}
	}
	slices.Sort(c.ratios)
	t = table{
		section: collector, title: fmt.Sprintf("%s: %d requests a second while expired rows are removed", title[pl.kind], rate),
		head: []string{"", "p50", "p99", "p99.9", "rows removed", "a second"},
		note: fmt.Sprintf("Half of the requests read, half write. Medians of %d turns of %v each, alone and with the collector at work.", len(c.ratios), turn),
		rows: [][]string{
			append([]string{"alone"}, append(percentiles(c.quiet), "", "")...),
			append([]string{"meanwhile"}, append(percentiles(c.busy), thousands(c.removed), thousands(int(float64(c.removed)/c.sweeping.Seconds())))...),
		},
	}
	what := fmt.Sprintf("%s: p99 of requests while %s expired rows are removed", title[pl.kind], thousands(c.removed))
	return t, ratioAtMost(what, quartiles(c.ratios), 2, " × the quiet one"), nil
}

// round measures one turn alone and one with the collector at work, and
// reports whether rows are left. A turn in which they ran out counts only if
// there is no other.
func (c *rowCollector) round() (more bool, err error) {
	time.Sleep(c.turn / 4) // in which the server tidies up after the last turn
	quiet, err := c.load()
	if err != nil {
		return false, err
	}
	ended := make(chan error, 1)
	var removed int
	var took time.Duration
	go func() {
		var err error
		removed, took, err = sweepFor(c.pl.ours, c.turn)
		ended <- err
	}()
	busy, err := c.load()
	if err = errors.Join(err, <-ended); err != nil {
		return false, err
	}
	c.removed += removed
	c.sweeping += took
	more = took >= c.turn
	if more || len(c.ratios) == 0 {
		c.quiet, c.busy = append(c.quiet, quiet), append(c.busy, busy)
		c.ratios = append(c.ratios, float64(percentile(busy, 99))/float64(percentile(quiet, 99)))
	}
	return more, nil
}

func (c *rowCollector) load() ([]time.Duration, error) {
	return openLoad(c.rate, c.turn, len(c.players), func(worker int) error {
		p := c.players[worker]
		if p.serve(); p.w.failed != 0 {
			return fmt.Errorf("status %d: %s", p.w.status, p.w.body[:p.w.n])
		}
		return nil
	})
}

// expiredRows has the server itself make n expired sessions, or as many as it
// can in box.
func expiredRows(pl *place, n int, box time.Duration) error {
	p := &pool{batch: 50_000, copy: func(from, to int) error {
		if pl.kind == inPostgres {
			return pl.copyTuples(pl.db, from, to, "now() - interval '1 hour'")
		}
		return pl.copyRows(pl.db, from, to, "UTC_TIMESTAMP(6) - INTERVAL 1 HOUR - INTERVAL seq MICROSECOND")
	}}
	first, err := pl.sampleRecord(read)
	if err != nil {
		return err
	}
	first.ID = numberedID(0)
	if err := pl.ours.store.Create(context.Background(), first); err != nil {
		return err
	}
	p.n = 1
	return p.fill(n, box)
}

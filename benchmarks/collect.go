package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/chisession/session/backend"
)

// collectFiles measures how fast n expired files are removed, or as many as
// can be made in box.
func collectFiles(n int, box time.Duration) (table, verdict, error) {
	t := table{title: "The collector: expired files", head: []string{"files", "removed in", "files a second"}}
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
	if n, err = filler(store, n, time.Now().Add(-time.Minute), box); err != nil {
		return t, verdict{}, err
	}
	start := time.Now()
	swept, err := lib.m.Sweep(context.Background())
	took := time.Since(start)
	if err != nil || swept != n {
		return t, verdict{}, fmt.Errorf("the sweep removed %d of %d files: %w", swept, n, err)
	}
	t.rows = [][]string{{thousands(n), took.Round(time.Millisecond).String(), thousands(int(float64(n) / took.Seconds()))}}
	v := atMost(fmt.Sprintf("file, the collector removes %s expired files", thousands(n)), took.Seconds(), 5*float64(n)/100_000, " s")
	return t, v, nil
}

// collectRows measures an open load on MariaDB, reads and writes, alone and
// while n expired rows are removed, or as many as are in box.
func collectRows(pl *place, n, rate int, quietFor, box time.Duration) (table, verdict, error) {
	t := table{
		title: fmt.Sprintf("The collector: expired MariaDB rows under an open load of %d requests a second", rate),
		head:  []string{"", "p50", "p99", "p99.9", "rows removed", "a second"},
		note:  "Half of the requests read (B), half write (C).",
	}
	const workers = 16
	var players [workers]*player
	for i := range players {
		var err error
		if players[i], err = pl.player(nameOurs, []scenario{read, write}[i%2]); err != nil {
			return t, verdict{}, err
		}
	}
	do := func(worker int) error {
		p := players[worker]
		if p.serve(); p.w.failed != 0 {
			return fmt.Errorf("status %d: %s", p.w.status, http.StatusText(p.w.status))
		}
		return nil
	}
	if err := expiredRows(pl, n, box); err != nil {
		return t, verdict{}, err
	}
	quiet, err := openLoad(rate, quietFor, workers, do)
	if err != nil {
		return t, verdict{}, err
	}
	ended := make(chan error, 1)
	var swept int
	var took time.Duration
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), box)
		defer cancel()
		start := time.Now()
		n, err := pl.ours.m.Sweep(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			err = nil // box is over
		}
		swept, took = n, time.Since(start)
		ended <- err
	}()
	var busy []time.Duration
	for sweeping := true; sweeping; {
		part, err := openLoad(rate, time.Second, workers, do)
		if err != nil {
			return t, verdict{}, err
		}
		busy = append(busy, part...)
		select {
		case err := <-ended:
			if err != nil {
				return t, verdict{}, err
			}
			sweeping = false
		default:
		}
	}
	slices.Sort(busy)
	t.rows = [][]string{
		append([]string{"alone"}, append(percentiles([][]time.Duration{quiet}), "", "")...),
		append([]string{"during the sweep"}, append(percentiles([][]time.Duration{busy}), thousands(swept), thousands(int(float64(swept)/took.Seconds())))...),
	}
	ratio := float64(percentile(busy, 99)) / float64(percentile(quiet, 99))
	return t, atMost(fmt.Sprintf("MariaDB, p99 of a load while %s expired rows are removed", thousands(swept)), ratio, 2, " × the quiet one"), nil
}

// expiredRows has the server itself make n expired sessions, or as many as it
// can in box, whose keys are in the order of their time, as a UUIDv7 is.
func expiredRows(pl *place, n int, box time.Duration) error {
	const batch = 50_000
	var table string
	row := pl.mariaDB.Admin().QueryRow("SELECT table_name FROM information_schema.tables WHERE table_schema = ? AND table_comment LIKE 'session schema%'", pl.db)
	if err := row.Scan(&table); err != nil {
		return fmt.Errorf("find the table: %w", err)
	}
	start := time.Now()
	for from := 1; from <= n && time.Since(start) < box; from += batch {
		_, err := pl.mariaDB.Admin().Exec(fmt.Sprintf("INSERT INTO `%s`.`%s` (id, version, expires, user, data)"+
			" SELECT UNHEX(LPAD(HEX(seq), 32, '0')), 1, UTC_TIMESTAMP(6) - INTERVAL 1 HOUR - INTERVAL seq MICROSECOND, NULL, REPEAT('x', 160) FROM `%s`.seq_%d_to_%d",
			pl.db, table, pl.db, from, min(n, from+batch-1)))
		if err != nil {
			return fmt.Errorf("make expired rows: %w", err)
		}
	}
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime/pprof"
	"strings"
	"time"
)

// writeProfile profiles this library's requests of -only, one scenario.
func (r *run) writeProfile() error {
	f, err := os.Create(r.profile)
	if err != nil {
		return err
	}
	done := false
	err = r.inPlaces(func(pl *place) error {
		for _, s := range scenarios {
			if !r.wanted(pl.kind, s) {
				continue
			}
			if done {
				return errors.New("-profile is of one scenario: -only matches more")
			}
			done = true
			if err := profile(f, pl, s, 5*time.Second); err != nil {
				return err
			}
		}
		return nil
	})
	return errors.Join(err, f.Close())
}

// profile writes a CPU profile of a scenario. What belongs to the requests has
// the label turn=yes (go tool pprof -tagfocus turn=yes); what prepares them
// and cleans up after them has not.
func profile(f *os.File, pl *place, s scenario, lasts time.Duration) error {
	p, err := pl.player(nameOurs, s)
	if err != nil {
		return err
	}
	n, err := calibrate(p, 20*time.Millisecond)
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	unlabelled := context.Background()
	labelled := pprof.WithLabels(unlabelled, pprof.Labels("turn", "yes"))
	for start := time.Now(); time.Since(start) < lasts; {
		if err := p.prepare(n); err != nil {
			return err
		}
		pprof.SetGoroutineLabels(labelled)
		p.turn(n)
		pprof.SetGoroutineLabels(unlabelled)
		if err := p.clean(n); err != nil {
			return err
		}
	}
	return nil
}

// A top is where the time of a scenario goes.
type top struct {
	kind     string
	scenario scenario
	text     string
}

// Frames that tell something, and those among them that all requests share.
const (
	telling = `chisession/session|chi/v5|crypto/(aes|cipher|sha256|rand)\.|redigo|go-sql-driver|database/sql\.\(\*(Row|Stmt|DB)\)|sys/unix\.[A-Z]|internal/poll\.\(\*FD\)|mallocgc$|time\.(Now|Until|Since)$|WithContext$`
	shared  = `Middleware|chi/v5\.\(\*Mux\)\.(ServeHTTP|routeHTTP)|main\.`
)

// profileMisses profiles the scenarios of a place that missed a target.
func (r *run) profileMisses(rep *report, pl *place) error {
	seen := map[scenario]bool{}
	for _, f := range rep.duels {
		t, ok := targetOf(f.kind, f.scenario, f.b)
		if !ok || f.kind != pl.kind || seen[f.scenario] || t.judge(f.duel).outcome != missed {
			continue
		}
		seen[f.scenario] = true
		if rep.profiling >= r.size.profiles {
			rep.untold = append(rep.untold, title[f.kind]+", "+what[f.scenario])
			continue
		}
		start := time.Now()
		text, err := topOf(pl, f.scenario, r.size.profile)
		if err != nil {
			return fmt.Errorf("profile of %s %s: %w", pl.kind, f.scenario, err)
		}
		rep.profiling += time.Since(start)
		rep.tops = append(rep.tops, top{pl.kind, f.scenario, text})
	}
	return nil
}

// topOf returns the twelve functions that a scenario spends most in, callees
// included.
func topOf(pl *place, s scenario, lasts time.Duration) (string, error) {
	f, err := os.CreateTemp("", "session-bench-*.pprof")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.Remove(f.Name()) }() // it is in the system's temporary directory
	if err := errors.Join(profile(f, pl, s, lasts), f.Close()); err != nil {
		return "", err
	}
	exe, err := os.Executable()
	if err != nil {
		return "", err
	}
	out, err := exec.Command("go", "tool", "pprof", "-top", "-cum", "-nodecount=12", "-relative_percentages",
		"-tagfocus=turn=yes", "-show="+telling, "-hide="+shared, exe, f.Name()).Output()
	if err != nil {
		return "", fmt.Errorf("go tool pprof: %w", err)
	}
	_, text, ok := strings.Cut(string(out), "flat  flat%")
	if !ok {
		return "", errors.New("go tool pprof printed no table")
	}
	return "      flat  flat%" + strings.TrimRight(text, "\n"), nil
}

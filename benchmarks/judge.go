package main

import "fmt"

// An outcome is what came of a target. Half of the rounds of a measurement lie
// between its quartiles: only if all of these are on the wrong side of the
// target, it is missed.
type outcome int

const (
	met    outcome = iota
	within         // the target is between the quartiles: this run cannot tell
	missed
)

func (o outcome) String() string {
	return [...]string{"met", "within its spread", "**missed**"}[o]
}

// A verdict is what came of one target.
type verdict struct {
	what    string // was measured, and where
	want    string
	got     string
	outcome outcome
}

// notAbove judges what is to be limit at most, from low to high as measured.
func notAbove(low, high, limit float64) outcome {
	switch {
	case low > limit:
		return missed
	case high > limit:
		return within
	}
	return met
}

// notBelow judges what is to be limit at least.
func notBelow(low, high, limit float64) outcome { return notAbove(-high, -low, -limit) }

// atMost judges a number that has no spread.
func atMost(what string, got, limit float64, unit string) verdict {
	return verdict{what, fmt.Sprintf("≤ %g%s", limit, unit), number(got) + unit, notAbove(got, got, limit)}
}

// atLeast is atMost for what is to be limit or more.
func atLeast(what string, got, limit float64) verdict {
	return verdict{what, "≥ " + thousands(int(limit)), thousands(int(got)), notBelow(got, got, limit)}
}

// ratioAtMost judges a ratio by its quartiles; unit says of what it is one.
func ratioAtMost(what string, d duel, limit float64, unit string) verdict {
	return verdict{what, fmt.Sprintf("≤ %g%s", limit, unit), spread(d), notAbove(d.low, d.high, limit)}
}

// ratioAtLeast is ratioAtMost for what is to be limit or more.
func ratioAtLeast(what string, d duel, limit float64, unit string) verdict {
	return verdict{what, fmt.Sprintf("≥ %g%s", limit, unit), spread(d), notBelow(d.low, d.high, limit)}
}

// judge tells whether d keeps t.
func (t target) judge(d duel) verdict {
	subject := fmt.Sprintf("%s: %s", title[t.kind], what[t.scenario])
	if t.faster {
		return ratioAtLeast(subject, d.inverse(), t.limit, " × faster than "+t.against)
	}
	return ratioAtMost(subject, d, t.limit, " × "+t.against)
}

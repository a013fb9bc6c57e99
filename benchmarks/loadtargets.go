package main

import (
	"fmt"
	"slices"
)

// A loadTarget is a ratio that this library is to keep under load.
type loadTarget struct {
	kinds     []string
	scenarios []scenario
	figure    string
	by        func(sample) float64
	against   string
	limit     float64
	atLeast   bool // the limit is a lower one
}

var loadTargets = []loadTarget{
	{[]string{inRedis, inMariaDB}, []scenario{read, write, login}, "CPU a request", byCPU, nameRaw, 1.15, false},
	{kinds, []scenario{read, write, login}, "p99", byP99, nameRaw, 1.5, false},
	{[]string{inRedis}, []scenario{read}, "requests a second", byRate, nameSCS, 1.9, true},
	{[]string{inRedis}, []scenario{write}, "requests a second", byRate, nameSCS, 1.5, true},
	{[]string{inMariaDB}, []scenario{read}, "requests a second", byRate, nameSCS, 1.4, true},
	{[]string{inMariaDB}, []scenario{write}, "requests a second", byRate, nameSCS, 1.25, true},
	{[]string{inMemory}, []scenario{read, write}, "requests a second", byRate, nameSCS, 1.3, true},
}

// loadVerdicts judges the cells of a place by the targets.
func loadVerdicts(cells []cell) (verdicts []verdict) {
	for _, t := range loadTargets {
		for _, c := range cells {
			if slices.Contains(t.kinds, c.kind) && slices.Contains(t.scenarios, c.scenario) {
				what := fmt.Sprintf("%s, %d clients, %s: %s", title[c.kind], c.clients, loadNames[c.scenario], t.figure)
				verdicts = append(verdicts, t.judge(what, c.ratio(t.by, t.against)))
			}
		}
	}
	return verdicts
}

// judge tells whether a ratio keeps t.
func (t loadTarget) judge(what string, d duel) verdict {
	if t.atLeast {
		return ratioAtLeast(what, d, t.limit, " × "+t.against)
	}
	return ratioAtMost(what, d, t.limit, " × "+t.against)
}

package main

import (
	"strings"
	"testing"
	"time"
)

func TestScenarioTable(t *testing.T) {
	us := time.Microsecond
	rep := &report{duels: []fought{
		{inMemory, login, duel{b: nameWire, ratio: 2, low: 1.5, high: 2.5, timeA: 4 * us, timeB: 2 * us}},
		{inMemory, login, duel{b: nameSCS, ratio: 0.5, low: 0.4, high: 0.6, timeA: 5 * us, timeB: 10 * us}},
		{inRedis, login, duel{b: nameRaw, ratio: 1.25, low: 1, high: 1.5, timeA: 50 * us, timeB: 40 * us}},
		{inRedis, read, duel{b: nameRedi, ratio: 3, low: 3, high: 3, timeA: us, timeB: us}},
	}}
	want := strings.TrimLeft(`
### Login: new session, 3 values

|  | session | chi and the bare driver | ÷ bare | ÷ bare, with a token | ÷ scs |
| --- | ---: | ---: | ---: | ---: | ---: |
| memory | 4.00 µs | 2.00 µs |  | 2.00 (1.50–2.50) | 0.50 (0.40–0.60) |
| Redis | 50.0 µs | 40.0 µs | 1.25 (1.00–1.50) |  |  |

`, "\n")
	if got := rep.scenarioTable(login).markdown(); got != want {
		t.Errorf("the table of logins is\n%s\nwant\n%s", got, want)
	}
}

// TestPage sees that what was measured comes in the order in which it is asked
// for, and that a miss does not come first.
func TestPage(t *testing.T) {
	rep := measuredBefore()
	rep.tables = []table{
		{section: counted, title: "memory: counted", head: []string{""}},
		{title: "memory under load", head: []string{""}},
		{section: growth, title: "memory: grown", head: []string{""}},
	}
	rep.verdicts = []verdict{atMost("kept", 1, 2, ""), ratioAtMost("close", duel{ratio: 2, low: 1, high: 3}, 2, ""), atMost("not kept", 3, 2, "")}
	page := rep.page()
	at := -1
	for _, part := range []string{
		"What does it cost me", "performance.svg", "How it is measured", "Single requests", "Read one value", "memory under load",
		"growth.svg", "memory: grown", "memory: counted", "## Targets", "Of 3, 1 are met, 1 lie within their spread, 1 are missed",
		"| not kept |", "| close |", "| kept |", "Measured elsewhere", "Where and how",
	} {
		i := strings.Index(page, part)
		if i < at {
			t.Errorf("%q is at %d of the page, want it after what is at %d:\n%s", part, i, at, page)
		}
		at = max(at, i)
	}
	if strings.Contains(page[:strings.Index(page, "## ")], "missed") {
		t.Error("the first screen tells of misses")
	}
}

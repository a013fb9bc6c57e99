package main

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
)

const pageFile = "docs/evidence/mutations.md"

// asked are the faults that no list may lack, and what they are called here.
var asked = []struct {
	what   string
	faults []string // names
}{
	{"no compare-and-swap (a plain write)", []string{"memory: no compare-and-swap", "plain writes, found by the enumeration",
		"file: no compare-and-swap", "mysql: the statement checks no version", "redis: the script checks no version"}},
	{"no secret check", []string{"no secret check"}},
	{"upsert", []string{"memory: an update is an upsert", "file: an update is an upsert", "mysql: an update is an upsert",
		"redis: an update is an upsert", "what was destroyed meanwhile is stored again"}},
	{"touch that moves back", []string{"memory: a touch moves the expiry back", "file: a touch moves the expiry back",
		"mysql: a touch moves the expiry back", "redis: a touch moves the expiry back"}},
	{"cookie cleared on an unknown token", []string{"the cookie is cleared on an unknown token"}},
	{"save with the request's context", []string{"storing ends with the client"}},
	{"commit after the header", []string{"the session is stored after the header"}},
}

// writePage makes the page of the results.
func writePage(kept results) error {
	return os.WriteFile(pageFile, page(all(), kept), 0o644)
}

// page is the table of the faults, as they are now, with what was recorded.
func page(faults []fault, kept results) []byte {
	var b bytes.Buffer
	b.WriteString(`# Faults planted, and the test that finds each

`)
	summary(&b, faults, kept)
	b.WriteString(`
A fault is planted in a copy of the commit named in its row. It is *killed* if the test named passes without it and,
with it, fails, panics or hangs, every time that it is run. Seconds are all its runs, on a shared machine; where the
fault is in a statement or a script, and so is built alone, the build as well. All of them together, three runs each,
took 15 minutes on two busy cores (0cb8813).
The mutations themselves are in
` + "`tests/mutate/faults_*.go`" + `:

    go -C tests run ./mutate -only 'no secret check' -v    # plant one and see the test fail
    go -C tests run ./mutate -record                       # plant all in HEAD and write this page

Comparing with ` + "`==`" + ` instead of in constant time is not in the list: the responses are the same.
The comparison is ` + "`subtle.ConstantTimeCompare`" + `, which ` + "`TestNoShortCircuit`" + ` looks for in the source, and the lookup
is by the public half of the token.

## The best known

| mistake | planted as |
|---|---|
`)
	for _, a := range asked {
		fmt.Fprintf(&b, "| %s | %s |\n", a.what, strings.Join(a.faults, " · "))
	}
	b.WriteString(`
## All

| fault | file | test that kills it | runs | s | commit |
|---|---|---|--:|--:|---|
`)
	for _, f := range faults {
		r, ok := kept.of(f)
		switch {
		case !ok:
			fmt.Fprintf(&b, "| %s | `%s` | %s: **not run** | | | |\n", cell(f.what), f.file, testOf(f))
		case r.verdict != killed:
			fmt.Fprintf(&b, "| %s | `%s` | %s: **%s** | %d | %.1f | %s |\n", cell(f.what), f.file, testOf(f), r.verdict, r.times, r.seconds, r.commit)
		default:
			fmt.Fprintf(&b, "| %s | `%s` | %s | %d | %.1f | %s |\n", cell(f.what), f.file, testOf(f), r.times, r.seconds, r.commit)
		}
	}
	return b.Bytes()
}

// summary is the top of the page: totals, and by name what was not killed.
func summary(b *bytes.Buffer, faults []fault, kept results) {
	var bad []string
	var seconds float64
	var dates []string
	n := 0
	for _, f := range faults {
		r, ok := kept.of(f)
		switch {
		case !ok:
			bad = append(bad, "not run: "+f.what)
			continue
		case r.verdict != killed:
			bad = append(bad, string(r.verdict)+": "+f.what)
		default:
			n++
		}
		seconds += r.seconds
		dates = append(dates, r.date)
	}
	fmt.Fprintf(b, "Written by `go -C tests run ./mutate -record` from what ran")
	if len(dates) > 0 {
		first, last := slices.Min(dates), slices.Max(dates)
		fmt.Fprintf(b, ": %s%s; the tests took %.0f minutes", first, strings.TrimSuffix(" to "+last, " to "+first), max(1, seconds/60))
	}
	fmt.Fprintf(b, ".\n%d faults, %d killed, %d not.\n", len(faults), n, len(faults)-n)
	for _, line := range bad {
		fmt.Fprintf(b, "- **%s**\n", cell(line))
	}
}

func testOf(f fault) string {
	return cmp.Or(strings.TrimPrefix(f.pkg, "./"), ".") + " `" + cell(f.test) + "`"
}

// cell is text in a table: a | in it would end the cell.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

// Command table makes the table of behaviours × backends from test runs:
//
//	(go test -json -run '^TestBehaviour$' . ; CLUSTERS=2 go -C tests test -json -run '^TestBehaviour$' ./behaviour ./clusters) |
//		go -C tests run ./behaviour/table > docs/evidence/behaviours.md
//
// A case is a test called TestBehaviour/TOPIC/SENTENCE/BACKEND. The command
// fails, after writing the table, if a case of internal/behaviour has not run, or
// one did not pass: skipped and unfinished ones did not.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/chisession/session/internal/behaviour"
)

// backends are the columns.
var backends = []string{"memory", "file", "mysql", "redis", "postgres", "sqlite", "goredis on a cluster", "rueidis on a cluster", "mysql on Galera"}

// onClusters are the columns of the backends that tests/clusters runs.
var onClusters = map[string]string{"goredis": "goredis on a cluster", "rueidis": "rueidis on a cluster", "mysql": "mysql on Galera"}

func main() {
	r, err := read(os.Stdin)
	if err == nil {
		err = r.write(os.Stdout, behaviour.Sentences())
	}
	if err == nil {
		err = r.verdict(behaviour.Sentences())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "table:", err)
		os.Exit(1)
	}
}

// An event is a line of go test -json (see go doc test2json).
type event struct {
	Action, Package, Test string
}

// A place is a cell of the table.
type place struct{ sentence, backend string }

// A report is what a run showed.
type report struct {
	outcome map[place]string // run, pass, fail or skip
	broken  []string         // packages that failed
}

func read(in io.Reader) (*report, error) {
	r := &report{outcome: map[place]string{}}
	for d := json.NewDecoder(in); ; {
		var e event
		err := d.Decode(&e)
		if errors.Is(err, io.EOF) {
			return r, nil
		}
		if err != nil {
			return nil, fmt.Errorf("the input is not the output of go test -json: %w", err)
		}
		r.add(e)
	}
}

func (r *report) add(e event) {
	switch e.Action {
	case "run", "pass", "fail", "skip":
	default:
		return
	}
	if e.Test == "" && e.Action == "fail" {
		r.broken = append(r.broken, e.Package)
	}
	parts := strings.Split(e.Test, "/")
	if len(parts) != 4 || parts[0] != "TestBehaviour" {
		return
	}
	backend := parts[3]
	if strings.HasSuffix(e.Package, "/clusters") {
		backend = onClusters[backend]
	}
	at := place{asRun(parts[1] + "/" + parts[2]), backend}
	if before := r.outcome[at]; before != "fail" && before != "skip" { // with -count, once is enough
		r.outcome[at] = e.Action
	}
}

// asRun is the name that go test gives to the subtests TOPIC/SENTENCE.
func asRun(sentence string) string { return strings.ReplaceAll(sentence, " ", "_") }

// write writes a table for each topic.
func (r *report) write(out io.Writer, sentences []string) error {
	var b strings.Builder
	b.WriteString("# Behaviours\n\nWhat sessions do, sentence by sentence, and the backends that each was tried on. `make behaviours` makes\n" +
		"this page from test runs: ✓ ran and passed, ✗ did not pass, — does not depend on the backend and ran on memory.\n" +
		"The tests are in `internal/behaviour`, a file a topic.\n")
	before := ""
	for _, s := range sentences {
		topic, sentence, _ := strings.Cut(s, "/")
		if topic != before {
			fmt.Fprintf(&b, "\n## %s%s\n\n| | %s |\n|---|%s\n", strings.ToUpper(topic[:1]), topic[1:], strings.Join(backends, " | "), strings.Repeat(":-:|", len(backends)))
			before = topic
		}
		fmt.Fprintf(&b, "| %s |", sentence)
		for _, backend := range backends {
			fmt.Fprintf(&b, " %s |", r.mark(s, backend))
		}
		b.WriteString("\n")
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func (r *report) mark(sentence, backend string) string {
	outcome, ran := r.outcome[place{asRun(sentence), backend}]
	switch {
	case outcome == "pass":
		return "✓"
	case !ran && r.once(sentence):
		return "—"
	}
	return "✗"
}

// once reports whether a case ran on memory alone: the backend cannot matter.
func (r *report) once(sentence string) bool {
	for _, backend := range backends {
		if _, ran := r.outcome[place{asRun(sentence), backend}]; ran != (backend == "memory") {
			return false
		}
	}
	return true
}

// verdict returns an error that says what is missing or did not pass.
func (r *report) verdict(sentences []string) error {
	var errs []error
	for _, s := range sentences {
		for _, backend := range backends {
			if r.mark(s, backend) == "✗" {
				errs = append(errs, fmt.Errorf("%s did not pass (%s)", s, backend))
			}
		}
	}
	for _, pkg := range r.broken {
		errs = append(errs, fmt.Errorf("package %s failed", pkg))
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

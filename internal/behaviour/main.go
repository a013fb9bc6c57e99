// Command behaviour makes the table of behaviours × backends from a test run:
//
//	go test -json -run '^TestBehaviour' . | go run ./internal/behaviour > docs/evidence/behaviours.md
//
// A case is a test with a part of its name that begins with the case's number
// ("TestBehaviourA/03_no_cookie_session_set/memory", "Test61MaxPerUser"); a
// later part that is a backend's name says which one it ran on. The command
// fails, after writing the table, if a number has no test, or a test did not
// pass: skipped and unfinished ones did not.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const last = 74 // the last number of BEHAVIOURS

var backends = []string{"memory", "file", "mysql", "redis"}

// none is the column of cases in which no store can matter.
const none = "no store"

func main() {
	r, err := read(os.Stdin)
	if err == nil {
		err = r.write(os.Stdout)
	}
	if err == nil {
		err = r.verdict()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "behaviour:", err)
		os.Exit(1)
	}
}

// An event is a line of go test -json (see go doc test2json).
type event struct {
	Action, Package, Test string
}

// A row is one case: a number may have several.
type row struct {
	number int
	title  string
}

// A report is what a run showed.
type report struct {
	outcome map[string]string // of each test, by package and name: run, pass, fail or skip
	broken  []string          // packages that failed
}

func read(in io.Reader) (*report, error) {
	r := &report{outcome: map[string]string{}}
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
	key := e.Package + " " + e.Test
	switch {
	case e.Test == "" && e.Action == "fail":
		r.broken = append(r.broken, e.Package)
	case e.Test == "", r.outcome[key] == "fail", r.outcome[key] == "skip": // with -count, once is enough
	default:
		r.outcome[key] = e.Action
	}
}

var (
	numbered = regexp.MustCompile(`^(\d\d)_(.+)$`)
	topLevel = regexp.MustCompile(`^Test(\d\d)([A-Z].*)$`)
	word     = regexp.MustCompile(`[A-Z]`)
)

// parse takes a test's name apart. ok is false for one that is no case.
func parse(pkg, test string) (c row, backend string, ok bool) {
	parts := strings.Split(test, "/")
	at := -1
	for i, part := range parts {
		if m := numbered.FindStringSubmatch(part); m != nil {
			at, c = i, row{atoi(m[1]), strings.ReplaceAll(m[2], "_", " ")}
			break
		}
		if m := topLevel.FindStringSubmatch(part); m != nil && i == 0 {
			title := word.ReplaceAllStringFunc(m[2], func(s string) string { return " " + strings.ToLower(s) })
			at, c = i, row{atoi(m[1]), strings.TrimSpace(title)}
			break
		}
	}
	if at < 0 {
		return c, "", false
	}
	if _, inside, found := strings.Cut(pkg, "/internal/"); found {
		c.title += " (" + inside + ")"
	}
	for _, part := range parts[at+1:] {
		if slices.Contains(backends, part) {
			return c, part, true
		}
	}
	return c, none, true
}

func atoi(s string) int {
	n, _ := strconv.Atoi(s) // two digits
	return n
}

// cells returns the outcome of each case on each backend: true if all passed.
func (r *report) cells() map[row]map[string]bool {
	cells := map[row]map[string]bool{}
	for key, outcome := range r.outcome {
		pkg, test, _ := strings.Cut(key, " ")
		c, backend, ok := parse(pkg, test)
		if !ok {
			continue
		}
		if cells[c] == nil {
			cells[c] = map[string]bool{}
		}
		before, seen := cells[c][backend]
		cells[c][backend] = outcome == "pass" && (before || !seen)
	}
	for _, on := range cells {
		if len(on) > 1 {
			delete(on, none) // that is just the parent of the others, and fails with them
		}
	}
	return cells
}

func (r *report) write(out io.Writer) error {
	var b strings.Builder
	cells := r.cells()
	rows := make([]row, 0, len(cells))
	for c := range cells {
		rows = append(rows, c)
	}
	for n := range last {
		if !slices.ContainsFunc(rows, func(c row) bool { return c.number == n+1 }) {
			rows = append(rows, row{n + 1, "**no test**"})
		}
	}
	slices.SortFunc(rows, func(a, b row) int {
		if a.number != b.number {
			return a.number - b.number
		}
		return strings.Compare(a.title, b.title)
	})
	columns := append(slices.Clone(backends), none)
	fmt.Fprintf(&b, "# Behaviours\n\nWhat sessions do, case by case, and the backends that each case ran on. `make behaviours` makes this\n"+
		"page from a test run: ✓ ran and passed, ✗ did not pass, — does not touch the backend.\n\n")
	fmt.Fprintf(&b, "| # | case | %s |\n|---|---|%s\n", strings.Join(columns, " | "), strings.Repeat(":-:|", len(columns)))
	for _, c := range rows {
		fmt.Fprintf(&b, "| %d | %s |", c.number, c.title)
		for _, column := range columns {
			fmt.Fprintf(&b, " %s |", mark(cells[c], column))
		}
		b.WriteString("\n")
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func mark(on map[string]bool, column string) string {
	passed, ran := on[column]
	switch {
	case on == nil:
		return "✗"
	case !ran:
		return "—"
	case passed:
		return "✓"
	}
	return "✗"
}

// verdict returns an error that says what is missing or did not pass.
func (r *report) verdict() error {
	var errs []error
	tested := map[int]bool{}
	for c, on := range r.cells() {
		tested[c.number] = true
		for backend, passed := range on {
			if !passed {
				errs = append(errs, fmt.Errorf("%02d %s did not pass (%s)", c.number, c.title, backend))
			}
		}
	}
	for n := 1; n <= last; n++ {
		if !tested[n] {
			errs = append(errs, fmt.Errorf("%02d has no test", n))
		}
	}
	for _, pkg := range r.broken {
		errs = append(errs, fmt.Errorf("package %s failed", pkg))
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

// Command mutate plants faults in the library, one at a time, and expects a
// named test to find each:
//
//	go run ./internal/mutate              # all
//	go run ./internal/mutate -list        # what there is
//	go run ./internal/mutate -only FX-    # those whose statement or text matches
//	go run ./internal/mutate -local       # without those that need a server
//
// The mutations are in faults_*.go: the text that is replaced, what it stands
// for in SECURITY-BAR, and the test that must fail. The tree is copied first;
// nothing here is changed. The exit status is 1 if a fault survives, if the
// text of one is not there exactly once, if one does not compile, or if its
// test fails (or does not run) without it.
package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"
)

// A fault is a mutation of the library's code.
type fault struct {
	bar  string // the statement of SECURITY-BAR, or the promise
	what string
	file string // below the root
	old  string // what is replaced; it is there once
	new  string
	pkg  string // of the test
	run  string // the test that must fail, as for go test -run
}

// server reports whether the test needs a server.
func (f fault) server() bool {
	return strings.Contains(f.pkg, "mysql") || strings.Contains(f.pkg, "redis")
}

func main() {
	list := flag.Bool("list", false, "print the faults and end")
	only := flag.String("only", "", "plant those whose statement, text or file matches this regexp")
	local := flag.Bool("local", false, "leave out those whose test needs a server")
	workers := flag.Int("j", 2, "how many to plant at a time, each in a copy of its own")
	verbose := flag.Bool("v", false, "print what the failing test printed")
	flag.Parse()

	chosen, err := choose(*only, *local)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if *list {
		for _, f := range chosen {
			fmt.Printf("%-7s %-52s %-26s %s %s\n", f.bar, f.what, f.file, f.pkg, f.run)
		}
		fmt.Println(len(chosen), "faults")
		return
	}
	start := time.Now()
	results, err := plantAll(chosen, *workers)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	bad := 0
	for i, res := range results {
		f := chosen[i]
		fmt.Printf("%-8s %-7s %-52s %-26s %s %s (%.1fs)\n", res.verdict, f.bar, f.what, f.file, f.pkg, f.run, res.took.Seconds())
		if res.verdict != killed {
			bad++
		}
		if *verbose {
			fmt.Println(indent(res.output))
		}
	}
	fmt.Printf("%d faults, %d killed, %d not, in %v\n", len(results), len(results)-bad, bad, time.Since(start).Round(time.Second))
	if bad > 0 {
		os.Exit(1)
	}
}

func choose(only string, local bool) ([]fault, error) {
	pattern, err := regexp.Compile(only)
	if err != nil {
		return nil, err
	}
	var chosen []fault
	for _, f := range all() {
		if pattern.MatchString(f.bar+" "+f.what+" "+f.file) && !(local && f.server()) {
			chosen = append(chosen, f)
		}
	}
	return chosen, nil
}

func all() []fault {
	var faults []fault
	for _, part := range [][]fault{tokenFaults, storeFaults, answerFaults, backendFaults, serverFaults} {
		faults = append(faults, part...)
	}
	return faults
}

// plantAll plants the faults, each of the workers in a copy of its own.
func plantAll(faults []fault, workers int) ([]result, error) {
	results := make([]result, len(faults))
	next := make(chan int)
	var wait sync.WaitGroup
	sound := &soundness{}
	trees := make([]*tree, workers)
	for i := range trees {
		t, err := copyTree(".")
		if err != nil {
			return nil, err
		}
		defer t.remove()
		trees[i] = t
	}
	for _, t := range trees {
		wait.Go(func() {
			for i := range next {
				results[i] = t.plant(faults[i], sound)
				fmt.Fprintf(os.Stderr, "%s %s %s\n", results[i].verdict, faults[i].bar, faults[i].what)
				if results[i].verdict != killed {
					fmt.Fprintln(os.Stderr, indent(results[i].output))
				}
			}
		})
	}
	for i := range faults {
		next <- i
	}
	close(next)
	wait.Wait()
	return results, nil
}

func indent(text string) string {
	const most = 2000
	if len(text) > most {
		text = text[:most] + "\n…"
	}
	return "    " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ")
}

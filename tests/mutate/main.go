// Command mutate plants faults in the library, one at a time, and expects a
// named test to find each:
//
//	go -C tests run ./mutate              # all, in a copy of this tree
//	go -C tests run ./mutate -list        # what there is
//	go -C tests run ./mutate -only logout # those whose text or file matches
//	go -C tests run ./mutate -local       # without those that need a server
//	go -C tests run ./mutate -record      # plant in what is committed, keep the outcome
//	go -C tests run ./mutate -table       # write docs/evidence/mutations.md from what was kept
//
// The mutations are in faults_*.go: the mistake, the text that is replaced, and
// the test that must fail. They are planted in a copy of the tree; nothing here
// is changed. A fault is killed if that test passes without it, and with it fails, panics or hangs, each time of -times. The
// exit status is 1 if one survives or cannot be planted: its text is not there
// exactly once, it does not compile, its test does not run or fails without it.
//
// With -record, the outcomes go to results.tsv beside this file, with the
// commit, and docs/evidence/mutations.md is made of them. A full run may be recorded in
// parts: -pending leaves out the faults that are killed there already and have
// not changed since.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// options is the command line.
type options struct {
	list, local, verbose   bool
	record, table, pending bool
	only                   string
	workers, times         int
}

func main() {
	var o options
	flag.BoolVar(&o.list, "list", false, "print the faults and end")
	flag.StringVar(&o.only, "only", "", "plant those whose text or file matches this regexp")
	flag.BoolVar(&o.local, "local", false, "leave out those whose test needs a server")
	flag.IntVar(&o.workers, "j", 2, "how many tests to run at a time")
	flag.IntVar(&o.times, "times", 1, "how often each test must find its fault")
	flag.BoolVar(&o.verbose, "v", false, "print what the failing tests printed")
	flag.BoolVar(&o.record, "record", false, "plant in HEAD, write "+resultsFile+" and "+pageFile)
	flag.BoolVar(&o.table, "table", false, "write "+pageFile+" from "+resultsFile+" and end")
	flag.BoolVar(&o.pending, "pending", false, "leave out those that are killed in "+resultsFile)
	flag.Parse()

	ok, err := false, toRoot()
	if err == nil {
		ok, err = run(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

// toRoot changes to the root of the repository, from wherever in it this was
// started.
func toRoot() error {
	out, err := exec.Command("git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		return fmt.Errorf("where is the root of the repository? %w", err)
	}
	return os.Chdir(strings.TrimSpace(string(out)))
}

// run does what o says. It reports whether all that was planted was killed.
func run(o options) (bool, error) {
	kept, err := readResults(resultsFile)
	if err != nil {
		return false, err
	}
	chosen, err := choose(o, kept)
	if err != nil {
		return false, err
	}
	switch {
	case o.list:
		for _, f := range chosen {
			fmt.Printf("%-60s %-26s %s %s\n", f.what, f.file, f.pkg, f.test)
		}
		fmt.Println(len(chosen), "faults")
		return true, nil
	case o.table:
		return true, writePage(kept)
	}
	return plantChosen(o, chosen, kept)
}

// plantChosen plants the chosen faults, prints each outcome and the totals,
// and with -record keeps each as soon as it is known.
func plantChosen(o options, chosen []fault, kept results) (bool, error) {
	from := workTree
	if o.record {
		commit, err := head()
		if err != nil {
			return false, err
		}
		from = commit
	}
	start, bad := time.Now(), 0
	err := plantAll(from, chosen, o, func(f fault, out outcome) error {
		fmt.Printf("%-8s %-60s %-26s %s %s (%.1fs)\n", out.verdict, f.what, f.file, f.pkg, f.test, out.took.Seconds())
		if out.verdict != killed {
			bad++
		}
		if out.verdict != killed || o.verbose {
			fmt.Println(indent(out.output))
		}
		if !o.record {
			return nil
		}
		kept.keep(f, out, string(from), o.times)
		return errors.Join(kept.write(resultsFile), writePage(kept))
	})
	if err != nil {
		return false, err
	}
	fmt.Printf("%d faults, %d killed, %d not, in %v\n", len(chosen), len(chosen)-bad, bad, time.Since(start).Round(time.Second))
	return bad == 0, nil
}

func choose(o options, kept results) ([]fault, error) {
	pattern, err := regexp.Compile(o.only)
	if err != nil {
		return nil, fmt.Errorf("-only: %w", err)
	}
	var chosen []fault
	for _, f := range all() {
		if !pattern.MatchString(f.what+" "+f.file) || o.local && f.server() {
			continue
		}
		if r, ok := kept.of(f); o.pending && ok && r.verdict == killed {
			continue
		}
		chosen = append(chosen, f)
	}
	return chosen, nil
}

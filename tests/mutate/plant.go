package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// A verdict is what became of a fault.
type verdict string

const (
	killed   verdict = "killed"
	survived verdict = "SURVIVED"
	broken   verdict = "ERROR" // the list is wrong, not the library
)

// An outcome is what planting a fault showed.
type outcome struct {
	verdict verdict
	output  string
	took    time.Duration // to run the test as often as asked; if it was planted alone, also to build it
}

// A planter plants faults: together in one copy of the tree, and those for
// which that cannot be one at a time in another.
type planter struct {
	times    int
	together *tree
	numbers  map[string]string // of the faults in together, by name

	mu       sync.Mutex // held while building, and while alone is in use
	alone    *tree
	binaries map[string]built // of together, by package
	passed   map[string]error // tests without a fault, by package and name
}

// A built is a test binary, or why there is none.
type built struct {
	path string
	err  error
}

// plantAll plants the faults and calls done with each outcome, one at a time.
func plantAll(from source, faults []fault, o options, done func(fault, outcome) error) (err error) {
	p := &planter{times: o.times, binaries: map[string]built{}, passed: map[string]error{}}
	for _, t := range []**tree{&p.together, &p.alone} {
		var copyErr error
		if *t, copyErr = copyTree(from); copyErr != nil {
			return errors.Join(err, copyErr)
		}
		defer func() { err = errors.Join(err, (*t).remove()) }()
	}
	if p.numbers, err = p.together.plantTogether(faults); err != nil {
		return err
	}
	next := make(chan fault)
	var wait sync.WaitGroup
	var mu sync.Mutex // guards err, and one done at a time
	for range o.workers {
		wait.Go(func() {
			for f := range next {
				out := p.plant(f)
				mu.Lock()
				err = errors.Join(err, done(f, out))
				mu.Unlock()
			}
		})
	}
	for _, f := range faults {
		next <- f
	}
	close(next)
	wait.Wait()
	return err
}

// plant turns f on, or plants it, and runs its test.
func (p *planter) plant(f fault) outcome {
	b := p.binary(f.pkg)
	if b.err != nil {
		return outcome{broken, b.err.Error(), 0}
	}
	if err := p.check(f, b.path); err != nil {
		return outcome{broken, err.Error(), 0}
	}
	number, ok := p.numbers[f.what]
	if !ok {
		return p.plantAlone(f)
	}
	start := time.Now()
	verdict, output := p.judge(f, p.together, b.path, number)
	return outcome{verdict, output, time.Since(start)}
}

// plantAlone plants f, builds and runs its test and takes f out again.
func (p *planter) plantAlone(f fault) outcome {
	p.mu.Lock()
	defer p.mu.Unlock()
	start := time.Now()
	verdict, output := p.tryAlone(f)
	return outcome{verdict, output, time.Since(start)}
}

func (p *planter) tryAlone(f fault) (verdict, string) {
	path := filepath.Join(p.alone.dir, f.file)
	whole, err := os.ReadFile(path)
	if err != nil {
		return broken, err.Error()
	}
	if n := strings.Count(string(whole), f.old); n != 1 {
		return broken, fmt.Sprintf("this text is there %d times, not once:\n%s", n, f.old)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(whole), f.old, f.new, 1)), 0o644); err != nil {
		return broken, err.Error()
	}
	defer func() {
		if err := os.WriteFile(path, whole, 0o644); err != nil {
			panic(err) // the copy is of no use any more
		}
	}()
	binary, err := p.alone.build(f.pkg)
	if err != nil {
		return broken, err.Error()
	}
	return p.judge(f, p.alone, binary, "")
}

// judge runs the test of a fault that is there.
func (p *planter) judge(f fault, t *tree, binary, number string) (_ verdict, output string) {
	for range p.times {
		var err error
		output, err = t.run(binary, number, f)
		if err == nil {
			return survived, output
		}
		if !found(f, output) {
			return broken, "something else than " + f.test + " failed:\n" + output
		}
	}
	return killed, output
}

// found reports whether the output of a run that failed says that it was the
// fault's test: not a server that did not start, say.
func found(f fault, output string) bool {
	for _, sign := range []string{
		"--- FAIL: " + f.test + " (",
		"\npanic: ", // in another goroutine than the test's, or because it hung
		"\nfatal error: ",
	} {
		if strings.Contains("\n"+output, sign) {
			return true
		}
	}
	return false
}

// binary returns the test binary of pkg with all faults planted together,
// none of them on.
func (p *planter) binary(pkg string) built {
	p.mu.Lock()
	defer p.mu.Unlock()
	b, known := p.binaries[pkg]
	if !known {
		b.path, b.err = p.together.build(pkg)
		p.binaries[pkg] = b
	}
	return b
}

// check says why the test of f does not pass without a fault.
func (p *planter) check(f fault, binary string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := f.pkg + " " + f.test
	err, known := p.passed[key]
	for n := 0; !known && err == nil && n < p.times; n++ {
		err = p.together.passes(binary, f)
	}
	p.passed[key] = err
	return err
}

func (t *tree) passes(binary string, f fault) error {
	output, err := t.run(binary, "", f)
	if err != nil {
		return fmt.Errorf("the test fails without the fault:\n%s", output)
	}
	if !strings.Contains(output, "--- PASS: "+f.test+" (") {
		return fmt.Errorf("no test is called %s:\n%s", f.test, output)
	}
	return nil
}

// indent makes a block of the end of text, where the failure is.
func indent(text string) string {
	const most = 2500
	if len(text) > most {
		text = "…" + text[len(text)-most:]
	}
	return "    " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ")
}

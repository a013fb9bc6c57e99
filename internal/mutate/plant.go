package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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

// An outcome is what planting a fault once showed.
type outcome struct {
	verdict verdict
	output  string
	took    time.Duration // to build, and to run the test as often as asked
}

// A planter plants faults in a copy of the tree.
type planter struct {
	*tree
	times  int
	passed map[string]error // tests without a fault: nil if they passed
	sound  string           // binary of all tests without a fault, of the package…
	of     string           // …that this is
	pruned string           // package and test function that the tree is pruned for
}

// plantAll plants the faults, each of the workers in a copy of its own, and
// calls done with each outcome, one at a time. Faults of one test function
// follow each other: they need the same test files.
func plantAll(from source, faults []fault, o options, done func(fault, outcome) error) (err error) {
	planters := make([]*planter, o.workers)
	for i := range planters {
		t, copyErr := copyTree(from)
		if copyErr != nil {
			return errors.Join(err, copyErr)
		}
		defer func() { err = errors.Join(err, t.remove()) }()
		planters[i] = &planter{tree: t, times: o.times, passed: map[string]error{}}
	}
	next := make(chan fault)
	var wait sync.WaitGroup
	var mu sync.Mutex // guards err, and one done at a time
	for _, p := range planters {
		wait.Go(func() {
			for f := range next {
				out := p.plant(f)
				mu.Lock()
				err = errors.Join(err, done(f, out))
				mu.Unlock()
			}
		})
	}
	for _, f := range slices.SortedStableFunc(slices.Values(faults), byTest) {
		next <- f
	}
	close(next)
	wait.Wait()
	return err
}

func byTest(a, b fault) int {
	return cmp.Or(cmp.Compare(a.pkg, b.pkg), cmp.Compare(a.function(), b.function()))
}

// plant plants f, runs its test and takes f out again.
func (p *planter) plant(f fault) outcome {
	start := time.Now()
	verdict, output := p.try(f)
	return outcome{verdict, output, time.Since(start)}
}

func (p *planter) try(f fault) (verdict, string) {
	path := filepath.Join(p.dir, f.file)
	whole, err := os.ReadFile(path)
	if err != nil {
		return broken, err.Error()
	}
	if n := strings.Count(string(whole), f.old); n != 1 {
		return broken, fmt.Sprintf("this text is there %d times, not once:\n%s", n, f.old)
	}
	if err := p.check(f); err != nil {
		return broken, err.Error()
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(whole), f.old, f.new, 1)), 0o644); err != nil {
		return broken, err.Error()
	}
	defer func() {
		if err := os.WriteFile(path, whole, 0o644); err != nil {
			panic(err) // the copy is of no use any more
		}
	}()
	binary, output, err := p.buildPruned(f)
	if err != nil {
		return broken, "it does not compile:\n" + output
	}
	for range p.times {
		output, err = p.run(binary, f)
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

// build compiles the tests of a package, without optimizations: that takes a
// quarter less time.
func (t *tree) build(pkg string) (binary, output string, err error) {
	binary = filepath.Join(t.dir, "mutant.test")
	cmd := exec.Command("go", "test", "-c", "-trimpath", "-vet=off", "-gcflags=-N -l", "-ldflags=-s -w", "-o", binary, pkg)
	cmd.Dir = t.dir
	out, err := cmd.CombinedOutput()
	return binary, string(out), err
}

// run runs the fault's test once.
func (t *tree) run(binary string, f fault) (string, error) {
	cmd := exec.Command(binary, "-test.v", "-test.run", f.pattern(), "-test.timeout", "60s", "-test.failfast", "-test.short")
	cmd.Dir = filepath.Join(t.dir, f.pkg)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// check says why the test of f does not pass in a tree without faults, once a
// test.
func (p *planter) check(f fault) error {
	if err := p.buildSound(f); err != nil {
		return err
	}
	key := f.pkg + " " + f.test
	err, known := p.passed[key]
	if known {
		return err
	}
	for range p.times {
		if err = p.passes(f); err != nil {
			break
		}
	}
	p.passed[key] = err
	return err
}

// buildSound makes p.sound the binary of all tests of f's package.
func (p *planter) buildSound(f fault) error {
	if p.of == f.pkg {
		return nil
	}
	built, output, err := p.build(f.pkg)
	if err != nil {
		return fmt.Errorf("without the fault, %s does not compile:\n%s", f.pkg, output)
	}
	p.sound, p.of = filepath.Join(p.dir, "sound.test"), f.pkg
	return os.Rename(built, p.sound)
}

// buildPruned compiles what f's test needs; all tests, if that is not enough.
func (p *planter) buildPruned(f fault) (binary, output string, err error) {
	if function := f.pkg + " " + f.function(); p.pruned != function {
		if err := p.prune(f.pkg, f.function()); err != nil {
			return "", "", err
		}
		p.pruned = function
	}
	binary, output, err = p.build(f.pkg)
	if err == nil {
		return binary, output, nil
	}
	if err := p.restore(f.pkg); err != nil {
		return "", "", err
	}
	return p.build(f.pkg)
}

func (p *planter) passes(f fault) error {
	output, err := p.run(p.sound, f)
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

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
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

// An outcome is what planting a fault once showed.
type outcome struct {
	verdict verdict
	output  string
	took    time.Duration // to build, and to run the test as often as asked
}

// A planter plants faults in copies of one tree.
type planter struct {
	times int
	sound soundness
}

// plantAll plants the faults, each of the workers in a copy of its own, and
// calls done with each outcome, one at a time.
func plantAll(from source, faults []fault, o options, done func(fault, outcome) error) (err error) {
	p := &planter{times: o.times}
	trees := make([]*tree, o.workers)
	for i := range trees {
		t, copyErr := copyTree(from)
		if copyErr != nil {
			return copyErr
		}
		defer func() { err = errors.Join(err, t.remove()) }()
		trees[i] = t
	}
	next := make(chan fault)
	var wait sync.WaitGroup
	var mu sync.Mutex // guards err, and one done at a time
	for _, t := range trees {
		wait.Go(func() {
			for f := range next {
				out := p.plant(t, f)
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

// plant plants f, runs its test and takes f out again.
func (p *planter) plant(t *tree, f fault) outcome {
	start := time.Now()
	verdict, output := p.try(t, f)
	return outcome{verdict, output, time.Since(start)}
}

func (p *planter) try(t *tree, f fault) (verdict, string) {
	path := filepath.Join(t.dir, f.file)
	whole, err := os.ReadFile(path)
	if err != nil {
		return broken, err.Error()
	}
	if n := strings.Count(string(whole), f.old); n != 1 {
		return broken, fmt.Sprintf("this text is there %d times, not once:\n%s", n, f.old)
	}
	if err := p.sound.check(t, f, p.times); err != nil {
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
	binary, output, err := t.build(f.pkg)
	if err != nil {
		return broken, "it does not compile:\n" + output
	}
	for range p.times {
		output, err = t.run(binary, f)
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

// build compiles the tests of a package.
func (t *tree) build(pkg string) (binary, output string, err error) {
	binary = filepath.Join(t.dir, "mutant.test")
	cmd := exec.Command("go", "test", "-c", "-trimpath", "-vet=off", "-ldflags=-s -w", "-o", binary, pkg)
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

// soundness remembers which tests pass without a fault.
type soundness struct {
	mu       sync.Mutex // held while one is tried: that is once a test
	passed   map[string]error
	binaries map[string]string // of packages without a fault
}

// check says why the test of f does not pass in a tree without faults.
func (s *soundness) check(t *tree, f fault, times int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.passed == nil {
		s.passed, s.binaries = map[string]error{}, map[string]string{}
	}
	key := f.pkg + " " + f.test
	err, known := s.passed[key]
	for n := 0; !known && err == nil && n < times; n++ {
		err = s.try(t, f)
	}
	s.passed[key] = err
	return err
}

func (s *soundness) try(t *tree, f fault) error {
	binary := s.binaries[f.pkg]
	if binary == "" {
		built, output, err := t.build(f.pkg)
		if err != nil {
			return fmt.Errorf("without the fault, %s does not compile:\n%s", f.pkg, output)
		}
		binary = filepath.Join(t.dir, strings.ReplaceAll(f.pkg, "/", "_")+".sound.test")
		if err := os.Rename(built, binary); err != nil {
			return err
		}
		s.binaries[f.pkg] = binary
	}
	output, err := t.run(binary, f)
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

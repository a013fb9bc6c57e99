package main

import (
	"errors"
	"fmt"
	"io/fs"
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

type result struct {
	verdict verdict
	output  string
	took    time.Duration
}

// A tree is a copy of the module.
type tree struct{ dir string }

// copyTree copies the module at root, without the modules below it.
func copyTree(root string) (*tree, error) {
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		return nil, fmt.Errorf("mutate: run it in the root of the module: %w", err)
	}
	dir, err := os.MkdirTemp("", "mutate-")
	if err != nil {
		return nil, err
	}
	t := &tree{dir}
	if err := t.fill(root); err != nil {
		return nil, errors.Join(err, t.remove())
	}
	return t, nil
}

func (t *tree) fill(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(t.dir, path)
		if d.IsDir() {
			if path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "tmp" || ownModule(path)) {
				return filepath.SkipDir
			}
			return os.MkdirAll(to, 0o755)
		}
		if !d.Type().IsRegular() {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(to, data, 0o644)
	})
}

func ownModule(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

func (t *tree) remove() error { return os.RemoveAll(t.dir) }

// plant plants f, runs its test and takes f out again.
func (t *tree) plant(f fault, sound *soundness) result {
	start := time.Now()
	verdict, output := t.try(f, sound)
	return result{verdict, output, time.Since(start)}
}

func (t *tree) try(f fault, sound *soundness) (verdict, string) {
	path := filepath.Join(t.dir, f.file)
	whole, err := os.ReadFile(path)
	if err != nil {
		return broken, err.Error()
	}
	if n := strings.Count(string(whole), f.old); n != 1 {
		return broken, fmt.Sprintf("this text is there %d times, not once:\n%s", n, f.old)
	}
	if err := sound.check(t, f); err != nil {
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
	output, err = t.run(binary, f)
	if err == nil {
		return survived, output
	}
	return killed, output
}

// build compiles the tests of a package.
func (t *tree) build(pkg string) (binary, output string, err error) {
	binary = filepath.Join(t.dir, "mutant.test")
	cmd := exec.Command("go", "test", "-c", "-trimpath", "-vet=off", "-ldflags=-s -w", "-o", binary, pkg)
	cmd.Dir = t.dir
	out, err := cmd.CombinedOutput()
	return binary, string(out), err
}

// run runs the fault's test.
func (t *tree) run(binary string, f fault) (string, error) {
	cmd := exec.Command(binary, "-test.run", f.run, "-test.timeout", "60s", "-test.failfast", "-test.short")
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
func (s *soundness) check(t *tree, f fault) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.passed == nil {
		s.passed, s.binaries = map[string]error{}, map[string]string{}
	}
	key := f.pkg + " " + f.run
	err, known := s.passed[key]
	if !known {
		err = s.try(t, f)
		s.passed[key] = err
	}
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
	if strings.Contains(output, "no tests to run") {
		return fmt.Errorf("no test is called %s", f.run)
	}
	return nil
}

package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// testsModule is the folder of the module that has the tests which the root
// module does not.
const testsModule = "tests"

// A tree is a copy of the root module and of the module of its tests.
type tree struct{ dir string }

// A source is where the copies come from: a commit, or workTree.
type source string

// workTree is the directory as it is.
const workTree source = ""

// head is the commit that is checked out.
func head() (source, error) {
	out, err := exec.Command("git", "rev-parse", "--short=10", "HEAD").Output()
	if err != nil {
		return "", fmt.Errorf("which commit is this? %w", err)
	}
	return source(bytes.TrimSpace(out)), nil
}

// copyTree copies the module in the current directory, and of the modules below
// it that of the tests.
func copyTree(from source) (*tree, error) {
	if _, err := os.Stat("go.mod"); err != nil {
		return nil, fmt.Errorf("run it in the root of the module: %w", err)
	}
	dir, err := os.MkdirTemp("", "mutate-")
	if err != nil {
		return nil, err
	}
	t := &tree{dir}
	if from == workTree {
		err = t.fill(".")
	} else {
		err = t.extract(from)
	}
	if err != nil {
		return nil, errors.Join(err, t.remove())
	}
	return t, nil
}

// fill copies the files below root.
func (t *tree) fill(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(t.dir, path)
		if d.IsDir() {
			if path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "tmp" || path != testsModule && ownModule(path)) {
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

// extract writes the files of a commit. The modules below are harmless: a
// build of this one does not see them.
func (t *tree) extract(commit source) error {
	archive, err := exec.Command("git", "archive", "--format=tar", string(commit)).Output()
	if err != nil {
		return fmt.Errorf("git archive %s: %w", commit, err)
	}
	root, err := os.OpenRoot(t.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		switch h.Typeflag {
		case tar.TypeDir:
			err = root.MkdirAll(strings.TrimSuffix(h.Name, "/"), 0o755)
		case tar.TypeReg:
			var data []byte
			if data, err = io.ReadAll(r); err == nil {
				err = root.WriteFile(h.Name, data, h.FileInfo().Mode().Perm())
			}
		}
		if err != nil {
			return err
		}
	}
}

// build compiles the tests of a package, without optimizations: that takes a
// quarter less time.
func (t *tree) build(pkg string) (binary string, err error) {
	binary = filepath.Join(t.dir, strings.ReplaceAll(pkg, "/", "_")+".test")
	cmd := exec.Command("go", "test", "-c", "-trimpath", "-vet=off", "-tags=servers", "-gcflags=-N -l", "-ldflags=-s -w", "-o", binary, pkg)
	cmd.Dir = t.dir
	if inTests, ok := strings.CutPrefix(pkg, "./"+testsModule+"/"); ok {
		cmd.Dir, cmd.Args[len(cmd.Args)-1] = filepath.Join(t.dir, testsModule), "./"+inTests
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s does not compile:\n%s", pkg, out)
	}
	return binary, nil
}

// run runs the fault's test once, with the fault of that number on.
func (t *tree) run(binary, number string, f fault) (string, error) {
	cmd := exec.Command(binary, "-test.v", "-test.run", f.pattern(), "-test.timeout", "60s", "-test.failfast", "-test.short")
	cmd.Dir = filepath.Join(t.dir, f.pkg)
	cmd.Env = append(os.Environ(), faultEnv+"="+number)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (t *tree) remove() error { return os.RemoveAll(t.dir) }

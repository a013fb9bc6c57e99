package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

// ownModule reports whether a backend is a module of its own, whose driver
// this program, which is part of the root module, cannot import.
func ownModule(provider string) bool {
	return slices.Contains([]string{"postgres", "sqlite", "goredis", "rueidis"}, provider)
}

// runStores does what args say in the program of examples/login/stores, which
// has those backends, and returns its exit code. It builds the program first,
// and does not use go run -C: that would also run it in another folder than the
// one which relative paths in args are meant for.
func runStores(provider string, args []string) (code int, err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	source, err := storesFolder(ctx)
	if err != nil {
		return 0, fmt.Errorf("provider %s: %w", provider, err)
	}
	program, remove, err := storesProgram(source)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, remove()) }()

	fmt.Fprintf(os.Stderr, "The provider %s is a module of its own: building and running %s.\n", provider, source)
	build := exec.CommandContext(ctx, "go", "build", "-o", program, ".")
	build.Dir = source
	build.Env = append(os.Environ(), "GOWORK=off", "PWD="+source) // a go.work need not know the folder
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		return 0, fmt.Errorf("provider %s: go build in %s: %w", provider, source, err)
	}
	return passOn(ctx, exec.Command(program, args...))
}

// storesProgram returns where the program of source is built, and what removes
// it. It stays in the user's cache, as the go command builds again only what has
// changed: a later start takes no seconds. On Windows a program that runs cannot be
// replaced, so that each start has one of its own.
func storesProgram(source string) (path string, remove func() error, err error) {
	if cache, err := os.UserCacheDir(); err == nil && runtime.GOOS != "windows" {
		checkout := sha256.Sum256([]byte(source))
		return filepath.Join(cache, "session-login", fmt.Sprintf("login-%x", checkout[:8])), func() error { return nil }, nil
	}
	dir, err := os.MkdirTemp("", "login-")
	if err != nil {
		return "", nil, err
	}
	return filepath.Join(dir, "login.exe"), func() error { return os.RemoveAll(dir) }, nil
}

// storesFolder returns where examples/login/stores is, from any folder of the
// repository.
func storesFolder(ctx context.Context) (string, error) {
	const module = "github.com/chisession/session"
	var stdout, stderr bytes.Buffer
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module)
	list.Stdout, list.Stderr = &stdout, &stderr
	if err := list.Run(); err != nil {
		return "", fmt.Errorf("its driver is built in when the program starts, which needs the go command and a folder of a checkout of %s: go list: %w\n%s",
			module, err, stderr.Bytes())
	}
	folder := filepath.Join(strings.TrimSpace(stdout.String()), "examples", "login", "stores")
	if _, err := os.Stat(filepath.Join(folder, "go.mod")); err != nil {
		return "", fmt.Errorf("its driver is built in from the folder examples/login/stores, which only a checkout of the repository has: %w", err)
	}
	return folder, nil
}

// passOn runs command in this program's place: with its files, and with a
// SIGTERM when ctx ends. It returns the exit code.
func passOn(ctx context.Context, command *exec.Cmd) (code int, err error) {
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := command.Start(); err != nil {
		return 0, err
	}
	// Ctrl-C in a terminal reaches both programs, a SIGTERM only this one. The
	// shop takes a second signal for the same one.
	forget := context.AfterFunc(ctx, func() { command.Process.Signal(syscall.SIGTERM) })
	defer forget()
	err = command.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if exit.ExitCode() < 0 {
			return 0, err // killed
		}
		return exit.ExitCode(), nil
	}
	return 0, err
}

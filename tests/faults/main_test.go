package faults

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"
)

// The whole suite runs only when make says so; the short form always.
var (
	full = os.Getenv("FAULTS") != ""
	soak = os.Getenv("SOAK") != ""
)

// TestMain is the server when this is a child process. Otherwise it runs the
// tests, searches all that the children said for secrets, and writes the
// table.
func TestMain(m *testing.M) {
	if raw := os.Getenv(envServer); raw != "" {
		if err := serve(raw); err != nil {
			fmt.Fprintln(os.Stderr, "server:", err)
			os.Exit(1)
		}
		return
	}
	code := m.Run()
	err := errors.Join(mariaDB.stop(), redisServer.stop(), canaries.found())
	if err == nil && full {
		err = table.write(code == 0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// soon is how long the first success after an outage may take. A plain run
// shares the machine with the tests of other packages.
var soon = time.Duration(pick(1, 10)) * time.Second

// pick returns the size of a case: in the whole suite, and in a plain run.
func pick(whole, short int) int {
	if full {
		return whole
	}
	return short
}

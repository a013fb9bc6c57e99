// Package leak finds the goroutines that a package's tests have left behind.
package leak

import (
	"fmt"
	"os"
	"time"

	"go.uber.org/goleak"
)

// patience is how long goroutines may take that are about to end: on a busy machine
// that is longer than the half a second of goleak itself.
const patience = 30 * time.Second

// Main runs the tests, which m is, and returns the exit code: 1 if they left a
// goroutine behind. It is for TestMain.
func Main(m interface{ Run() int }) int {
	code := m.Run()
	if code != 0 {
		return code
	}
	if err := Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// Find returns an error with the stacks of the goroutines that are there beside the
// caller's, and do not end within half a minute.
func Find() error {
	deadline := time.Now().Add(patience)
	for {
		err := goleak.Find()
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

package leak

import (
	"testing"
	"time"
)

// TestFind: a goroutine that ends late is none that was left behind.
func TestFind(t *testing.T) {
	go func() { time.Sleep(time.Second) }()
	if err := Find(); err != nil {
		t.Errorf("Find: %v, want nil once the goroutine has ended", err)
	}
}

// run is tests that pass or fail.
type run int

func (code run) Run() int { return int(code) }

// TestExitCode: without a leak it is that of the tests.
func TestExitCode(t *testing.T) {
	for _, code := range []int{0, 3} {
		if got := Main(run(code)); got != code {
			t.Errorf("Main of tests that end with %d: %d", code, got)
		}
	}
}

package session_test

import (
	"testing"

	"github.com/chisession/session/internal/behaviour"
)

// TestBehaviour runs what sessions promise, on the backends that need no server.
// The others are in tests/behaviour.
func TestBehaviour(t *testing.T) {
	behaviour.Run(t, behaviour.Memory, behaviour.File)
}

package session_test

import (
	"os"
	"testing"

	_ "github.com/chisession/session/backend/mysql" // save paths that it refuses are tested
	_ "github.com/chisession/session/backend/redis" // and so are Redis's
	"github.com/chisession/session/internal/behaviour"
	"github.com/chisession/session/internal/leak"
	"github.com/chisession/session/internal/testserver"
)

// TestBehaviour runs what sessions promise, on the backends that need no server.
// The others are in tests/behaviour.
func TestBehaviour(t *testing.T) {
	behaviour.Run(t, behaviour.Memory, behaviour.File)
}

// TestMain fails the run if a goroutine is left over: of a manager that was not
// closed, of a request that was not released, of a store.
func TestMain(m *testing.M) {
	testserver.MoreParallel(4)
	os.Exit(leak.Main(m))
}

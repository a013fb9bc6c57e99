package memory

import (
	"os"
	"testing"

	"github.com/chisession/session/internal/testserver"
)

func TestMain(m *testing.M) {
	testserver.MoreParallel(4) // they wait for records to expire
	os.Exit(m.Run())
}

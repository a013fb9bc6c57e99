package drivers

import (
	"fmt"
	"os"
	"testing"

	"github.com/chisession/session/internal/testserver"
)

// server is the PostgreSQL of this package's tests.
var server *testserver.Postgres

func TestMain(m *testing.M) {
	testserver.MoreParallel(4) // they wait for records to expire
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if server, err = testserver.StartPostgres(testserver.PostgresOptions{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := server.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

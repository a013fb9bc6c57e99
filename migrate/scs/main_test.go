//go:build servers

package scs

import (
	"fmt"
	"os"
	"testing"

	"github.com/chisession/session/internal/testserver"
)

// The private servers of this package's tests.
var (
	redisServer *testserver.Redis
	mariaDB     *testserver.MariaDB
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	var err error
	if redisServer, err = testserver.StartRedis(testserver.RedisOptions{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer stop(redisServer.Stop, &code)
	if mariaDB, err = testserver.StartMariaDB(testserver.MariaDBOptions{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer stop(mariaDB.Stop, &code)
	return m.Run()
}

func stop(server func() error, code *int) {
	if err := server(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		*code = 1
	}
}

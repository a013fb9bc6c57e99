// Package behaviour runs what sessions promise (internal/behaviour of the root)
// on the backends that have a server, and what happens when that server is
// killed or frozen. To run one backend's tests alone:
//
//	go -C tests test -run 'Behaviour///redis|Outage/redis' ./behaviour
package behaviour

import (
	"testing"

	"github.com/chisession/session/internal/behaviour"
	"github.com/chisession/session/internal/testserver"
)

func TestBehaviour(t *testing.T) {
	behaviour.Run(t, mysqlKind, redisKind, postgresKind, sqliteKind)
}

func TestOutage(t *testing.T) {
	t.Run("mysql", func(t *testing.T) {
		behaviour.RunOutages(t, func(t *testing.T) behaviour.Outage {
			server := start(t, func() (*testserver.MariaDB, error) {
				return testserver.StartMariaDB(testserver.MariaDBOptions{})
			})
			name, err := server.CreateDatabase()
			if err != nil {
				t.Fatal(err)
			}
			return behaviour.Outage{Server: server, Name: "mysql", SavePath: server.DSN(name)}
		})
	})
	t.Run("postgres", func(t *testing.T) {
		behaviour.RunOutages(t, func(t *testing.T) behaviour.Outage {
			server := start(t, func() (*testserver.Postgres, error) {
				return testserver.StartPostgres(testserver.PostgresOptions{})
			})
			name, err := server.CreateDatabase()
			if err != nil {
				t.Fatal(err)
			}
			return behaviour.Outage{Server: server, Name: "postgres", SavePath: server.DSN(name)}
		})
	})
	t.Run("redis", func(t *testing.T) {
		behaviour.RunOutages(t, func(t *testing.T) behaviour.Outage {
			server := start(t, func() (*testserver.Redis, error) {
				return testserver.StartRedis(testserver.RedisOptions{Durable: true})
			})
			return behaviour.Outage{Server: server, Name: "redis", SavePath: server.URL()}
		})
	})
}

// start starts a server that is stopped when the test ends.
func start[T interface{ Stop() error }](t *testing.T, start func() (T, error)) T {
	t.Helper()
	server, err := start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return server
}

//go:build servers

package shop

import (
	"testing"

	"github.com/chisession/session"
	_ "github.com/chisession/session/backend/mysql"
	_ "github.com/chisession/session/backend/redis"
	"github.com/chisession/session/internal/testserver"
)

// TestRestartOnServers is TestRestart on the backends that have a server.
func TestRestartOnServers(t *testing.T) {
	t.Run("redis", func(t *testing.T) {
		server, err := testserver.StartRedis(testserver.RedisOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { server.Stop() })
		restart(t, session.Config{Provider: "redis", SavePath: server.URL()})
	})
	t.Run("mysql", func(t *testing.T) {
		server, err := testserver.StartMariaDB(testserver.MariaDBOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { server.Stop() })
		name, err := server.CreateDatabase()
		if err != nil {
			t.Fatal(err)
		}
		restart(t, session.Config{Provider: "mysql", SavePath: server.DSN(name)})
	})
}

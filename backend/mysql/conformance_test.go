//go:build servers

package mysql

import (
	"testing"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
)

// patiently has connections and replies come as slowly as a busy machine makes them
// for a crowd.
var patiently = []string{"timeout=30s", "readTimeout=30s", "writeTimeout=30s"}

func TestConformance(t *testing.T) {
	t.Parallel()
	backendtest.Run(t, func(t *testing.T) backend.Store { return open(t, patiently...) })
}

// TestConformanceCallersPool is the same on a pool of the caller's, with
// settings that must not matter.
func TestConformanceCallersPool(t *testing.T) {
	t.Parallel()
	backendtest.Run(t, func(t *testing.T) backend.Store {
		db := pool(t, database(t), "parseTime=true", "loc=America%2FSao_Paulo", "time_zone='%2B11:30'", "clientFoundRows=true",
			"interpolateParams=true", "sql_mode=''", "collation=utf8mb4_turkish_ci")
		s, err := New(db, Options{Table: "other_sessions"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	})
}

// TestConformanceShared is the same on two stores over one table, as two
// processes have them.
func TestConformanceShared(t *testing.T) {
	t.Parallel()
	backendtest.RunShared(t, func(t *testing.T) (a, b backend.Store) {
		db := database(t)
		return openIn(t, db, patiently...), openIn(t, db, patiently...)
	})
}

package postgres

import (
	"testing"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/internal/testserver"
)

func TestConformance(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backend.Store { return open(t) })
}

// TestConformanceShared is the same on two stores over one table, as two
// processes have them.
func TestConformanceShared(t *testing.T) {
	backendtest.RunShared(t, func(t *testing.T) (a, b backend.Store) {
		db := database(t)
		return openIn(t, db), openIn(t, db)
	})
}

// TestConformanceCallersPool is the same on pools of the caller's, in every
// form in which pgx can send a statement, with settings that must not matter.
func TestConformanceCallersPool(t *testing.T) {
	for _, mode := range []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			backendtest.Run(t, func(t *testing.T) backend.Store {
				dsn := server.DSN(database(t), "default_query_exec_mode="+mode, "timezone=Asia/Kathmandu", "pool_max_conns=8",
					"default_transaction_isolation=serializable", "synchronous_commit=off")
				return newOn(t, func() (*Store, error) { return New(pool(t, dsn), Options{Table: "public.Other_Sessions"}) })
			})
		})
	}
}

// TestConformanceSQL is the same on a pool of database/sql, and a table that
// is UNLOGGED.
func TestConformanceSQL(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backend.Store {
		p := sqlPool(t, server.DSN(database(t), "timezone=Asia/Kathmandu"))
		p.SetMaxOpenConns(8)
		return newOn(t, func() (*Store, error) { return NewSQL(p, Options{Unlogged: true}) })
	})
}

// TestConformancePgBouncer is the same through PgBouncer in transaction mode.
func TestConformancePgBouncer(t *testing.T) {
	bouncer := startPgBouncer(t, "default_pool_size = 4")
	for _, mode := range []string{"", "cache_describe", "exec", "simple_protocol"} {
		t.Run("mode="+mode, func(t *testing.T) {
			t.Parallel()
			params := []string{"pool_max_conns=8"}
			if mode != "" { // else Open must find out
				params = append(params, "default_query_exec_mode="+mode)
			}
			backendtest.RunShared(t, func(t *testing.T) (a, b backend.Store) {
				dsn := server.DSNAt(bouncer.Addr(), database(t), params...)
				return openAt(t, dsn), openAt(t, dsn)
			})
		})
	}
}

func newOn(t *testing.T, make func() (*Store, error)) *Store {
	t.Helper()
	s, err := make()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func startPgBouncer(t *testing.T, settings ...string) *testserver.PgBouncer {
	t.Helper()
	b, err := testserver.StartPgBouncer(server, settings...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Stop(); err != nil {
			t.Error(err)
		}
	})
	return b
}

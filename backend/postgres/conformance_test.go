package postgres

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/internal/testserver"
)

// fresh is a database in which every case of a suite has a table of its own: to
// make a database takes many times as long.
type fresh struct {
	db     string
	tables atomic.Int64
}

func freshTables(t *testing.T) *fresh { return &fresh{db: database(t)} }

// table returns the name of the next table.
func (f *fresh) table() string { return fmt.Sprintf("Sessions_%d", f.tables.Add(1)) }

// patiently has connections made as slowly as a busy machine makes a crowd of them.
const patiently = "connect_timeout=30"

// openTable opens a store for a connection string, in another table than Open
// takes.
func openTable(t *testing.T, dsn string, opts Options) *Store {
	t.Helper()
	return newOn(t, func() (*Store, error) { return openWith(dsn, opts) })
}

func TestConformance(t *testing.T) {
	t.Parallel()
	in := freshTables(t)
	backendtest.Run(t, func(t *testing.T) backend.Store {
		return openTable(t, server.DSN(in.db, patiently), Options{Table: in.table()})
	})
}

// TestConformanceShared is the same on two stores over one table, as two
// processes have them.
func TestConformanceShared(t *testing.T) {
	t.Parallel()
	in := freshTables(t)
	backendtest.RunShared(t, func(t *testing.T) (a, b backend.Store) {
		opts := Options{Table: in.table()}
		dsn := server.DSN(in.db, patiently)
		return openTable(t, dsn, opts), openTable(t, dsn, opts)
	})
}

// TestConformanceCallersPool is the same on pools of the caller's, in every
// form in which pgx can send a statement, with settings that must not matter.
func TestConformanceCallersPool(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			in := freshTables(t)
			p := pool(t, server.DSN(in.db, "default_query_exec_mode="+mode, "timezone=Asia/Kathmandu", "pool_max_conns=8",
				"default_transaction_isolation=serializable", "synchronous_commit=off"))
			backendtest.Run(t, func(t *testing.T) backend.Store {
				return newOn(t, func() (*Store, error) { return New(p, Options{Table: "public." + in.table()}) })
			})
		})
	}
}

// TestConformanceSQL is the same on a pool of database/sql, and a table that
// is UNLOGGED.
func TestConformanceSQL(t *testing.T) {
	t.Parallel()
	in := freshTables(t)
	p := sqlPool(t, server.DSN(in.db, "timezone=Asia/Kathmandu"))
	p.SetMaxOpenConns(8)
	backendtest.Run(t, func(t *testing.T) backend.Store {
		return newOn(t, func() (*Store, error) { return NewSQL(p, Options{Table: in.table(), Unlogged: true}) })
	})
}

// TestConformancePgBouncer is the same through PgBouncer in transaction mode.
func TestConformancePgBouncer(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"", "exec", "simple_protocol"} {
		t.Run("mode="+mode, func(t *testing.T) {
			t.Parallel()
			bouncer := startPgBouncer(t, "default_pool_size = 4")
			params := []string{"pool_max_conns=8", patiently}
			if mode != "" { // else Open must find out, and take cache_describe
				params = append(params, "default_query_exec_mode="+mode)
			}
			in := freshTables(t)
			dsn := server.DSNAt(bouncer.Addr(), in.db, params...)
			backendtest.RunShared(t, func(t *testing.T) (a, b backend.Store) {
				opts := Options{Table: in.table()}
				return openTable(t, dsn, opts), openTable(t, dsn, opts)
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

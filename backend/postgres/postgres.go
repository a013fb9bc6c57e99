// Package postgres keeps sessions in a table of PostgreSQL (13 or newer; the
// tests run on 15), through pgx. It is a module of its own, so that whoever
// keeps sessions elsewhere does not get pgx.
//
// Each of load, create, update, touch and delete is one statement by primary
// key and one round trip; a second one is only needed to tell why nothing was
// changed. Expiry is compared with the server's clock, keys, users and data are
// bytes: no time zone, encoding or collation matters. Nothing is kept on a
// connection, no SET, no advisory lock, no LISTEN: a pooler may stand between.
//
// The account needs SELECT, INSERT, UPDATE and DELETE on the table, and to own
// the schema or to have CREATE on it the first time, unless the table was made
// beforehand with the statements of [Schema]. It must reach the primary: a
// standby refuses writes, and responds with the past.
package postgres

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/internal/sqlcall"
)

// Name is the name that this backend is registered by.
const Name = "postgres"

// DefaultTable is the table's name where [Options] has none.
const DefaultTable = "sessions"

// startTimeout bounds the checks that New and Open make.
const startTimeout = 10 * time.Second

func init() {
	backend.Register(Name, func(dsn string) (backend.Store, error) { return Open(dsn) })
}

// Options are the options of [New] and [NewSQL]. The zero value works.
type Options struct {
	// Table is the table's name, "table" or "schema.table", of letters,
	// digits and underscores, in which capitals count; default "sessions",
	// in the first schema of the search path.
	Table string

	// NoCreate leaves the creation of the table to somebody else (see
	// [Schema]): a missing one is then an error of New.
	NoCreate bool

	// NoProbe has New write nothing, neither a table nor a record of its own
	// (see [Store.Check]). It is for tools beside the application: an account
	// that may only read can list and count.
	NoProbe bool

	// Unlogged makes the table an UNLOGGED one, which PostgreSQL does not
	// write to its log: writes are faster, and every session is lost when
	// the server crashes and when a standby takes over. It must say what
	// the table is: a table that is UNLOGGED without it, or is not with it,
	// is an error of New.
	Unlogged bool
}

// A Store keeps sessions in one table. It is safe for concurrent use, by any
// number of processes.
//
// Besides [backend.Store] it is a [backend.VersionedDeleter],
// [backend.Sweeper], [backend.UserIndex], [backend.Lister], [backend.Counter], [backend.Comparer],
// [backend.Confirmer], [backend.Bounded] and [backend.Durable].
type Store struct {
	db         db
	closeOwned func() // closes a pool of our own; nil for a caller's
	bounded    bool
	slots      sqlcall.Slots // one for each connection of a pool of our own, nil for others
	stmts      statements
	promise    Promise
	closed     atomic.Bool
}

var (
	_ backend.Store            = (*Store)(nil)
	_ backend.VersionedDeleter = (*Store)(nil)
	_ backend.Sweeper          = (*Store)(nil)
	_ backend.UserIndex        = (*Store)(nil)
	_ backend.Lister           = (*Store)(nil)
	_ backend.Counter          = (*Store)(nil)
	_ backend.Comparer         = (*Store)(nil)
	_ backend.Confirmer        = (*Store)(nil)
	_ backend.Bounded          = (*Store)(nil)
	_ backend.Durable          = (*Store)(nil)
)

// New returns a Store on the caller's own pool, whose settings it leaves as
// they are and which it does not close. It creates the table if it is missing,
// unless opts says not to, and checks it: a table of another shape, a
// connection that would not keep bytes, or an account that may not do all that
// will be needed is an error (see [Store.Check]).
//
// A call takes as long as its context lets it; the session manager gives each
// one a deadline. A connection whose server says that it has become read only,
// or is going down, is closed, so that the pool makes another one. Behind a
// pooler in transaction mode, such as PgBouncer, the pool needs
// default_query_exec_mode=cache_describe (exec and simple_protocol work too, and
// are slower); a statement that was prepared on another connection is an error
// that says so.
func New(pool *pgxpool.Pool, opts Options) (*Store, error) {
	if pool == nil {
		return nil, errors.New("postgres: New needs a *pgxpool.Pool, got nil")
	}
	return newStore(&Store{db: pgxDB{pool: pool}}, opts)
}

// NewSQL is [New] for a pool of database/sql, of the driver "pgx"
// (github.com/jackc/pgx/v5/stdlib) or another one that has $1 for a parameter
// and whose errors have a method SQLState.
func NewSQL(pool *sql.DB, opts Options) (*Store, error) {
	if pool == nil {
		return nil, errors.New("postgres: NewSQL needs a *sql.DB, got nil")
	}
	return newStore(&Store{db: sqlDB{pool}}, opts)
}

// Open returns a Store on a pool of its own for a connection string as
// PostgreSQL and pgx know it, a URL or keywords and values:
//
//	postgres://user:password@host:5432/database?sslmode=verify-full
//	postgres://user:password@one,two/database    a primary and its standby, whichever is which
//
// in the table "sessions", or that of the parameter table ("table=web_sessions"),
// which is created if it is missing. Close closes the pool.
//
// The pool has at most 16 connections (pool_max_conns), each used for 3 minutes
// at most (pool_max_conn_lifetime). Connecting takes at most 1 s until an
// address responds and 2 s until it lets us in (connect_timeout), and the
// response to a statement at most 2 s; so every call ends within about 5 s,
// however the server behaves, and the Store is bounded. Of
// several hosts it takes the one that accepts writes
// (target_session_attrs=read-write), and looks for it anew as soon as one says
// that it does not any more. Where it finds a pooler, statements are not
// prepared by name (default_query_exec_mode=cache_describe). What the
// connection string says wins.
func Open(dsn string) (*Store, error) { return openWith(dsn, Options{}) }

func openWith(dsn string, opts Options) (*Store, error) {
	if dsn == "" {
		return nil, errors.New("postgres: the save path is empty: give postgres://user:password@host:5432/database")
	}
	cfg, given, err := poolConfig(dsn)
	if err != nil {
		return nil, err
	}
	opts.Table = cmp.Or(opts.Table, tableOf(cfg.ConnConfig))
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	pool, err := openPool(ctx, cfg, given)
	if err != nil {
		return nil, err
	}
	s, err := newStore(&Store{
		db: pgxDB{pool: pool, owned: true}, closeOwned: pool.Close, bounded: endsByItself(cfg.ConnConfig),
		slots: make(sqlcall.Slots, pool.Config().MaxConns),
	}, opts)
	if err != nil {
		pool.Close()
		return nil, err
	}
	return s, nil
}

// newStore checks the connection, the table and the account.
func newStore(s *Store, opts Options) (*Store, error) {
	if opts.Table == "" {
		opts.Table = DefaultTable
	}
	table, err := parseTable(opts.Table)
	if err != nil {
		return nil, err
	}
	s.stmts = statementsFor(table)
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := s.checkConnection(ctx); err != nil {
		return nil, err
	}
	if err := s.checkTable(ctx, table, opts); err != nil {
		return nil, err
	}
	s.promise.Unlogged = opts.Unlogged
	if opts.NoProbe {
		return s, nil
	}
	if err := s.Check(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Bounded reports whether every call ends by itself within a few seconds: true
// for a Store of [Open], unless its connection string has a connect_timeout, or
// so many addresses, that connecting may take more than 5 s.
func (s *Store) Bounded() bool { return s.bounded }

// Close closes the pool if [Open] made it. It is idempotent; calls that come
// after it get [backend.ErrClosed].
func (s *Store) Close() error {
	if !s.closed.Swap(true) && s.closeOwned != nil {
		s.closeOwned()
	}
	return nil
}

// refused is the error of a connection or table that the store must not use.
func refused(format string, args ...any) error {
	return fmt.Errorf("postgres: "+format, args...)
}

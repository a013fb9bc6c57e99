// Package mysql keeps sessions in a table of MariaDB (10.6 or newer) or MySQL
// (8.0 or newer), through sqlx and go-sql-driver/mysql.
//
// Each of load, create, update, touch and delete is one statement by primary key
// and one round trip; a second one is only needed to tell why nothing was
// changed. Five statements are prepared, once a connection; with
// interpolateParams=true in the DSN none is. Times are UTC microseconds compared with the server's
// clock, keys, users and data are bytes: no time zone, sql_mode, collation or
// parseTime matters.
//
// A million sessions of 300 bytes, half of them of users, take 560 MiB of disk
// (MariaDB 10.11), 465 MiB of them rows and indexes.
//
// The account needs SELECT, INSERT, UPDATE and DELETE on the table, and CREATE
// the first time, unless the table was made beforehand with the statements of
// [Schema]. It must reach the primary: a replica that lags behind answers with
// the past.
package mysql

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/internal/sqlcall"
)

// Name is the name that this backend is registered by.
const Name = "mysql"

// DefaultTable is the table's name where [Options] has none.
const DefaultTable = "sessions"

// startTimeout bounds the checks that New and Open make.
const startTimeout = 10 * time.Second

func init() {
	backend.Register(Name, func(dsn string) (backend.Store, error) { return Open(dsn) })
}

// Options are the options of [New]. The zero value works.
type Options struct {
	// Table is the table's name, "table" or "database.table", of letters,
	// digits and underscores; default "sessions".
	Table string

	// NoCreate leaves the creation of the table to somebody else (see
	// [Schema]): a missing one is then an error of New.
	NoCreate bool

	// NoProbe has New write nothing, neither a table nor a record of its own
	// (see Store.Check), and prepare nothing. It is for tools beside the
	// application: an account that may only read can list and count.
	NoProbe bool
}

// A Store keeps sessions in one table. It is safe for concurrent use, by any
// number of processes.
//
// Besides [backend.Store] it is a [backend.VersionedDeleter],
// [backend.Sweeper], [backend.UserIndex], [backend.Lister], [backend.Counter], [backend.Comparer] and
// [backend.Bounded].
type Store struct {
	db      *sqlx.DB
	owned   bool // Close closes db
	bounded bool
	hosts   *hosts        // of an owned pool
	texts   bool          // nothing is prepared
	slots   sqlcall.Slots // one for each connection of an owned pool, nil for others
	maxData int           // bytes of Data that a statement can carry
	stmts   statements
	closed  atomic.Bool

	durability string
}

var (
	_ backend.Store            = (*Store)(nil)
	_ backend.VersionedDeleter = (*Store)(nil)
	_ backend.Sweeper          = (*Store)(nil)
	_ backend.UserIndex        = (*Store)(nil)
	_ backend.Lister           = (*Store)(nil)
	_ backend.Counter          = (*Store)(nil)
	_ backend.Comparer         = (*Store)(nil)
	_ backend.Bounded          = (*Store)(nil)
	_ backend.Durable          = (*Store)(nil)
)

// New returns a Store on the caller's own pool, whose settings it leaves as
// they are and which it does not close. It creates the table if it is missing,
// unless opts says not to, and checks it: a table of another shape, a connection
// that would not keep bytes or commits, or an account without a right that
// sessions need (see [Store.Check]) is an error.
//
// A pool whose DSN has interpolateParams=true gets all statements as text, and
// needs no prepared ones at all. On another one, the statements that are not
// prepared (see the package) take a second round trip. The pool decides how long a call may take. It should have timeouts
// (readTimeout and writeTimeout in the DSN), and rejectReadOnly=true if the
// server can become a replica.
func New(db *sqlx.DB, opts Options) (*Store, error) {
	if db == nil {
		return nil, errors.New("mysql: New needs a *sqlx.DB, got nil")
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	s := &Store{db: db}
	var err error
	if s.texts, err = s.interpolates(ctx); err != nil {
		return nil, err
	}
	if err := s.start(ctx, opts); err != nil {
		return nil, err
	}
	return s, nil
}

// Open returns a Store on a pool of its own for the data source name
//
//	user:password@tcp(host:3306)/database?param=value
//
// of go-sql-driver/mysql, in the table "sessions", which is created if it is
// missing. Close closes the pool. As New does, it finds out whether the account
// may do all that sessions need.
//
// The pool has at most 32 connections, each used for 3 minutes at most.
// Unless the DSN says otherwise, connecting takes at most 1 s, an answer at
// most 2 s, and waiting for a lock at most 1 s; so every call ends within
// about 3 s, however the server behaves, and the Store is bounded.
//
// A Galera cluster is several hosts, tcp(host1,host2:3307,host3). The first that
// lets us in has all connections, until it fails: until it refuses them, does not
// answer, or says that it is in no cluster any more. Then it is the next one's
// turn, and every connection to the one before is closed. On Galera each
// connection has wsrep_sync_wait=7, so that a node knows what another one has
// acknowledged.
func Open(dsn string) (*Store, error) {
	if dsn == "" {
		return nil, errors.New("mysql: the save path is empty: give user:password@tcp(host:3306)/db")
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	s, err := openStore(ctx, dsn, true)
	if errors.Is(err, errConverted) || errors.Is(err, errUnsafe) {
		s, err = openStore(ctx, dsn, false)
	}
	return s, err
}

// openStore is Open. With interpolate, the driver puts the parameters into what
// is not prepared, which saves a round trip, but cannot be done with each
// character set.
func openStore(ctx context.Context, dsn string, interpolate bool) (*Store, error) {
	p, err := openPool(dsn, interpolate, false)
	if err != nil {
		return nil, err
	}
	if lags, _ := lagging(ctx, p.db); lags { // an error comes again below
		_ = p.db.Close()
		if p, err = openPool(dsn, interpolate, true); err != nil {
			return nil, err
		}
	}
	s := &Store{db: p.db, owned: true, bounded: p.bounded, texts: p.texts, hosts: p.hosts, slots: make(sqlcall.Slots, maxConns)}
	if err := s.start(ctx, Options{}); err != nil {
		_ = p.db.Close() // the error of start is the one to tell
		return nil, err
	}
	return s, nil
}

// start checks the connection, the table and the account, and prepares the
// statements.
func (s *Store) start(ctx context.Context, opts Options) error {
	if opts.Table == "" {
		opts.Table = DefaultTable
	}
	table, err := parseTable(opts.Table)
	if err != nil {
		return err
	}
	if err := s.checkConnection(ctx); err != nil {
		return err
	}
	if err := s.checkTable(ctx, table, opts.NoCreate || opts.NoProbe); err != nil {
		return err
	}
	s.stmts.fill(table, s.owned)
	if opts.NoProbe {
		return nil
	}
	s.durability = s.ask(ctx)
	if err := s.prepare(ctx); err != nil {
		return err
	}
	if err := s.Check(ctx); err != nil {
		_ = s.stmts.close() // the error of Check is the one to tell
		return err
	}
	return nil
}

// prepare prepares what is to be prepared, unless the server prepares no more
// and the pool can do without.
func (s *Store) prepare(ctx context.Context) error {
	if s.texts {
		return nil
	}
	err := s.stmts.prepare(ctx, s.db)
	if err == nil {
		return nil
	}
	_ = s.stmts.close()
	if !preparesNoMore(err) {
		return withCure(s.failure("prepare the statements", err, 0))
	}
	if s.texts, err = s.interpolates(ctx); err == nil && !s.texts {
		err = errCannotPrepare
	}
	return err
}

// Bounded reports whether every call ends by itself within a few seconds:
// true for a Store of [Open] whose DSN sets no timeout above 5 s.
func (s *Store) Bounded() bool { return s.bounded }

// Close releases the prepared statements and, if [Open] made it, closes the
// pool. It is idempotent; calls that come after it get [backend.ErrClosed].
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	err := s.stmts.close()
	if s.owned {
		err = errors.Join(err, s.db.Close())
	}
	if err != nil {
		return fmt.Errorf("mysql: close: %w", err)
	}
	return nil
}

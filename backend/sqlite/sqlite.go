// Package sqlite keeps sessions in a table of an SQLite database (3.35 or
// newer), through modernc.org/sqlite, which needs no cgo, or through any other
// driver of database/sql on a pool of the caller's. It is a module of its own,
// so that whoever keeps sessions elsewhere does not get SQLite.
//
// The database is in WAL mode: readers never wait for the writer, and there is
// one writer at a time, in all processes that share the file. Each of load,
// create, update, touch and delete is one statement; a second one is only needed
// to tell why nothing was changed. The file must be on a local disk: WAL does not
// work on a network file system.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/internal/quiet"
)

// Name is the name that this backend is registered by.
const Name = "sqlite"

// DefaultTable is the table's name where [Options] has none.
const DefaultTable = "sessions"

// startTimeout bounds the checks that New and Open make.
const startTimeout = 10 * time.Second

func init() {
	backend.Register(Name, func(path string) (backend.Store, error) { return Open(path) })
}

// Options are the options of [New]. The zero value works.
type Options struct {
	// Table is the table's name, of letters, digits and underscores; default
	// "sessions".
	Table string

	// NoCreate leaves the creation of the table to somebody else (see
	// [Schema]): a missing one is then an error of New.
	NoCreate bool

	// NoProbe has New write nothing, neither a table nor a record of its own
	// (see [Store.Check]). It is for tools beside the application.
	NoProbe bool
}

// A Store keeps sessions in one table. It is safe for concurrent use, by any
// number of processes.
//
// Besides [backend.Store] it is a [backend.VersionedDeleter],
// [backend.Sweeper], [backend.UserIndex], [backend.Lister], [backend.Counter], [backend.Comparer],
// [backend.Bounded] and [backend.Durable].
type Store struct {
	read, write *sql.DB // the same for a caller's
	owned       bool
	file        string        // "" for a caller's
	writer      chan struct{} // held by the one of this store that writes
	patience    time.Duration // with other writers: busyWait, but in tests
	stmts       statements
	synchronous int // SQLite's setting, as the connection that writes had it at start
	closed      atomic.Bool
	quiet       quiet.Cache // what Changed need not look up again
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

// New returns a Store on the caller's own pool, whose settings it leaves as they
// are and which it does not close. It creates the table if it is missing, unless
// opts says not to, and checks it. The database should be in WAL mode, which
// stays with the file once it is set; another mode is an error, as in it every
// reader would wait for every writer.
//
// A statement that meets another writer is tried again for 2 s, or until its
// context ends; a busy_timeout of the pool's is best shorter, as not every driver
// heeds a context in it. A handler must not respond while it holds the lock to
// write, in a transaction of its own: its session could not be stored.
func New(db *sql.DB, opts Options) (*Store, error) {
	if db == nil {
		return nil, errors.New("sqlite: New needs a *sql.DB, got nil")
	}
	s := &Store{read: db, write: db}
	if err := s.start(opts); err != nil {
		return nil, err
	}
	return s, nil
}

// Open returns a Store on the database file of that path, which is made if it
// is missing, readable by its owner only, in the table "sessions". Close closes
// it. After the path may come parameters:
//
//	tmp/sessions.db?synchronous=normal
//
// With synchronous=full, the default, a write that was acknowledged survives a
// crash of the machine; with normal it survives one of the program, and a crash
// of the machine undoes the logins and logouts of the last moments, for writes
// that are several times as fast. Neither can damage the file. table=NAME names
// another table.
//
// Every call ends within about 3 s, unless the disk hangs, so the Store is
// bounded.
func Open(path string) (*Store, error) {
	p, err := ParsePath(path)
	if err != nil {
		return nil, err
	}
	s, err := p.open()
	if err != nil {
		return nil, err
	}
	if err := s.start(Options{Table: p.Table}); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) start(opts Options) error {
	s.writer = make(chan struct{}, 1)
	s.patience = busyWait
	if opts.Table == "" {
		opts.Table = DefaultTable
	}
	if err := checkName(opts.Table); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := s.checkTable(ctx, opts); err != nil {
		return err
	}
	if err := s.stmts.prepare(ctx, s, opts.Table); err != nil {
		return errors.Join(s.failure(ctx, "prepare the statements", err), s.stmts.close())
	}
	if opts.NoProbe {
		return nil
	}
	if err := s.Check(ctx); err != nil {
		return errors.Join(err, s.stmts.close())
	}
	return nil
}

// Bounded reports whether every call ends by itself within a few seconds: true
// for a Store of [Open].
func (s *Store) Bounded() bool { return s.owned }

// SQLite's settings of synchronous.
const (
	synchronousOff    = 0
	synchronousNormal = 1
)

// Durability implements [backend.Durable], by SQLite's setting synchronous. On a
// pool of the caller's, it is that of one connection.
func (s *Store) Durability() string {
	switch s.synchronous {
	case synchronousOff:
		return "synchronous is off: a crash of the machine may undo logins and logouts, and damage the file"
	case synchronousNormal:
		return "synchronous is normal: an acknowledged login or logout survives a crash of the program; one of the machine undoes the last of them"
	}
	return "synchronous is full: an acknowledged login or logout survives a crash of the machine"
}

// Close releases the prepared statements and, if [Open] made it, closes the
// database. It is idempotent; calls that come after it get [backend.ErrClosed].
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	err := s.stmts.close()
	if s.owned {
		err = errors.Join(err, s.read.Close(), s.write.Close())
	}
	if err != nil {
		return fmt.Errorf("sqlite: close: %w", err)
	}
	return nil
}

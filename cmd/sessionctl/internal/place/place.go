// Package place reaches the place where an application keeps its sessions:
// through the store, as the application does, and through a connection of its
// own to what the store does not tell, such as the server's version.
package place

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	redigo "github.com/gomodule/redigo/redis"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jmoiron/sqlx"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/file"
	"github.com/chisession/session/backend/goredis"
	"github.com/chisession/session/backend/memory"
	"github.com/chisession/session/backend/mysql"
	"github.com/chisession/session/backend/postgres"
	"github.com/chisession/session/backend/redis"
	"github.com/chisession/session/backend/sqlite"
)

// ErrMemory says why nothing here can work on the memory provider.
var ErrMemory = errors.New("the memory provider keeps sessions inside the application's own process, where nothing outside can reach them, sessionctl included: " +
	"mount the admin handler in the application, or use another provider")

// ErrUnknown says that a provider is not one of ours. It does not name it: it may
// be a save path in the wrong place.
var ErrUnknown = errors.New("sessionctl knows no provider of this name: it has file, mysql, postgres, redis, goredis, rueidis and sqlite (a backend of your own needs a sessionctl of your own)")

// rueidis is the name of the backend that keeps what goredis keeps, in the same
// places: here the one serves for both.
const rueidis = "rueidis"

// Providers are the names of those that can be operated.
func Providers() []string {
	return []string{file.Name, mysql.Name, postgres.Name, redis.Name, goredis.Name, rueidis, sqlite.Name}
}

// Known reports whether provider is one of the library's.
func Known(provider string) bool {
	return provider == memory.Name || slices.Contains(Providers(), provider)
}

// Timeout bounds one question to a server. Counting a large table takes
// longer than a request may wait, so it is longer than the stores' own.
const Timeout = 30 * time.Second

// A Target says where sessions are kept.
type Target struct {
	Provider string
	SavePath string // may hold a password
	Table    string // of an SQL database; empty is the default, or that of the save path
}

// A Place is a connected target. It has the one of MySQL, Postgres, Redis, SQLite
// and Dir that its provider uses.
type Place struct {
	Target Target

	MySQL    *sqlx.DB
	Postgres *pgxpool.Pool
	Redis    *redigo.Pool
	SQLite   *sql.DB
	Dir      string // absolute

	redis   *redis.Store
	goredis *goredis.Store
	synced  *sqlx.DB // of a Galera, for the store
	store   backend.Store
}

// Connect connects to the target. It changes nothing there: no table and no
// directory is made. The memory provider is ErrMemory.
func Connect(ctx context.Context, t Target) (*Place, error) {
	p := &Place{Target: t}
	var err error
	switch t.Provider {
	case memory.Name, "":
		return nil, ErrMemory
	case file.Name:
		p.Dir, err = directory(t.SavePath)
	case redis.Name:
		if p.redis, err = redis.Connect(t.SavePath); err == nil {
			p.Redis = p.redis.Pool()
		}
	case goredis.Name, rueidis:
		p.goredis, err = goredis.Connect(t.SavePath)
	case mysql.Name:
		p.MySQL, err = dial(ctx, t.SavePath, false)
	case postgres.Name:
		p.Postgres, err = dialPostgres(ctx, t.SavePath)
	case sqlite.Name:
		p.SQLite, err = openSQLite(t.SavePath)
	default:
		err = ErrUnknown
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

func directory(savePath string) (string, error) {
	if savePath == "" {
		savePath = file.DefaultDir
	}
	dir, err := filepath.Abs(savePath)
	if err != nil {
		return "", fmt.Errorf("find the session directory: %w", err)
	}
	return dir, nil
}

// Store opens the store, once. A table or directory that is missing is an
// error, not made.
func (p *Place) Store() (backend.Store, error) {
	if p.store != nil {
		return p.store, nil
	}
	var err error
	switch {
	case p.redis != nil:
		p.store = p.redis
	case p.goredis != nil:
		p.store = p.goredis
	case p.MySQL != nil:
		var s *mysql.Store
		if s, err = p.openMySQL(); err == nil {
			p.store = s
		}
	case p.Postgres != nil:
		var s *postgres.Store
		if s, err = postgres.New(p.Postgres, postgres.Options{Table: p.Table(), NoProbe: true, Unlogged: p.unlogged()}); err == nil {
			p.store = s
		}
	case p.SQLite != nil:
		var s *sqlite.Store
		if s, err = sqlite.New(p.SQLite, sqlite.Options{Table: p.Table(), NoProbe: true}); err == nil {
			p.store = s
		}
	default:
		var s *file.Store
		if s, err = OpenDir(p.Dir); err == nil {
			p.store = s
		}
	}
	return p.store, err
}

// openMySQL opens the store: on Galera on connections of its own, as a node that
// does not wait could show sessions that were ended on another. What is asked about
// the server is not to wait, least of all where it is in no cluster any more.
func (p *Place) openMySQL() (*mysql.Store, error) {
	db := p.MySQL
	var name, value string
	row := db.QueryRow("SHOW SESSION VARIABLES LIKE 'wsrep_on'")
	if err := row.Scan(&name, &value); err == nil && value == "ON" { // an error comes again in New
		if p.synced == nil {
			if p.synced, err = dial(context.Background(), p.Target.SavePath, true); err != nil {
				return nil, err
			}
		}
		db = p.synced
	}
	return mysql.New(db, mysql.Options{Table: p.Target.Table, NoProbe: true})
}

// OpenDir opens a session directory, and makes nothing in it. That no sessions
// are kept there is an error that is fs.ErrNotExist.
func OpenDir(dir string) (*file.Store, error) {
	s, err := file.New(dir, file.Options{NoCreate: true})
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w; start the application first, or name its own directory (--save-path): sessionctl makes none", err)
	}
	return s, err
}

// Close closes all connections.
func (p *Place) Close() error {
	var errs []error
	if closer, ok := p.store.(interface{ Close() error }); ok {
		errs = append(errs, closer.Close())
	}
	if p.redis != nil {
		errs = append(errs, p.redis.Close()) // twice is no error
	}
	if p.goredis != nil {
		errs = append(errs, p.goredis.Close())
	}
	if p.MySQL != nil {
		errs = append(errs, p.MySQL.Close())
	}
	if p.synced != nil {
		errs = append(errs, p.synced.Close())
	}
	if p.Postgres != nil {
		p.Postgres.Close()
	}
	if p.SQLite != nil {
		errs = append(errs, p.SQLite.Close())
	}
	return errors.Join(errs...)
}

// Exec runs a statement on an SQL database.
func (p *Place) Exec(ctx context.Context, statement string) (err error) {
	switch {
	case p.MySQL != nil:
		_, err = p.MySQL.ExecContext(ctx, statement)
	case p.Postgres != nil:
		_, err = p.Postgres.Exec(ctx, statement)
	case p.SQLite != nil:
		_, err = p.SQLite.ExecContext(ctx, statement)
	}
	return err
}

package mysql

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"
)

// The pool that Open makes. The lifetime is below the wait_timeout of any
// sensible server (28800 s is the default, 300 s a common choice of clouds),
// and short enough that connections move to a new primary soon.
const (
	maxConns    = 32
	maxLifetime = 3 * time.Minute
	maxIdleTime = 90 * time.Second

	dialTimeout = time.Second
	ioTimeout   = 2 * time.Second

	// maxBounded is the longest timeout in a DSN with which the store still
	// calls itself bounded.
	maxBounded = 5 * time.Second
)

// errUnsafe says that the driver does not put parameters into statements in
// the DSN's collation.
var errUnsafe = errors.New("mysql: the collation is not one to interpolate parameters in")

// An ownPool is what Open makes.
type ownPool struct {
	db      *sqlx.DB
	bounded bool // its timeouts are short
	texts   bool // the DSN has interpolateParams=true
	hosts   *hosts
}

// openPool opens a pool for dsn with our defaults for what dsn leaves open. With
// wait, each connection waits for what other nodes have acknowledged.
func openPool(dsn string, interpolate, wait bool) (ownPool, error) {
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		return ownPool{}, badDSN(err)
	}
	if gap(hostList(cfg)) {
		return ownPool{}, errors.New("mysql: the DSN has a list of hosts with an empty one in it")
	}
	applyDefaults(cfg)
	if wait {
		cfg.Params["wsrep_sync_wait"] = syncWait
	}
	p := ownPool{
		bounded: max(cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout) <= maxBounded,
		texts:   cfg.InterpolateParams,
	}
	cfg.InterpolateParams = p.texts || interpolate
	p.hosts, err = newHosts(cfg)
	switch {
	case err != nil && cfg.InterpolateParams && !p.texts:
		return ownPool{}, errUnsafe // there was nothing wrong with it before
	case err != nil:
		return ownPool{}, badDSN(err)
	}
	p.db = sqlx.NewDb(sql.OpenDB(p.hosts), Name)
	p.db.SetMaxOpenConns(maxConns)
	p.db.SetMaxIdleConns(maxConns)
	p.db.SetConnMaxLifetime(maxLifetime)
	p.db.SetConnMaxIdleTime(maxIdleTime)
	return p, nil
}

// applyDefaults fills in what a session store needs of a connection.
func applyDefaults(cfg *mysql.Config) {
	setDefault(&cfg.Timeout, dialTimeout)
	setDefault(&cfg.ReadTimeout, ioTimeout)
	setDefault(&cfg.WriteTimeout, ioTimeout)

	// A connection to a server that has become a replica is dropped, so
	// that the next one finds the new primary.
	cfg.RejectReadOnly = true

	// The driver's log lines repeat what the errors say, without the
	// operation.
	cfg.Logger = &mysql.NopLogger{}

	// See datetime.
	cfg.ParseTime = false

	// One statement is one transaction; a server-side default of
	// autocommit=0 would have every write rolled back.
	if cfg.Params == nil {
		cfg.Params = map[string]string{}
	}
	cfg.Params["autocommit"] = "1"

	// Locks: of rows (default 50 s), and of the table (default a day).
	for _, name := range []string{"innodb_lock_wait_timeout", "lock_wait_timeout"} {
		if _, ok := cfg.Params[name]; !ok {
			cfg.Params[name] = "1"
		}
	}
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d <= 0 {
		*d = value
	}
}

// badDSN is the error for a DSN that the driver does not understand. The
// driver's own text can repeat a part of it, which is a part of the password
// if a bracket is missing; so only texts that are known are passed on.
func badDSN(err error) error {
	detail := ""
	for _, known := range []string{
		"did you forget to escape a param value?",
		"network address not terminated (missing closing brace)",
		"missing the slash separating the database name",
		"interpolateParams can not be used with unsafe collations",
		"invalid bool value",
		"unknown config name",
		"unknown server pub key name",
	} {
		if strings.Contains(err.Error(), known) {
			detail = ": " + known
		}
	}
	return fmt.Errorf("mysql: the DSN cannot be read%s; it looks like user:password@tcp(host:3306)/database?param=value", detail)
}

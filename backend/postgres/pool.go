package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// The pool that Open makes. Sixteen connections are enough for some ten
// thousand requests a second, and six processes fit into the hundred that
// PostgreSQL takes unless it is told otherwise. The lifetime is short enough
// that connections move to another server soon, if a name leads elsewhere.
const (
	maxConns    = 16
	maxLifetime = 3 * time.Minute
	maxIdleTime = 90 * time.Second

	dialTimeout    = time.Second // until an address responds at all
	connectTimeout = 2 * time.Second
	ioTimeout      = 2 * time.Second

	tableParam = "table" // of a connection string

	// maxBounded is the longest that connecting may take with which the
	// store still calls itself bounded.
	maxBounded = 5 * time.Second
)

// openPool opens a pool for a configuration of poolConfig, and makes a first
// connection.
func openPool(ctx context.Context, cfg *pgxpool.Config, given func(name string) bool) (*pgxpool.Pool, error) {
	pool, err := connect(ctx, cfg)
	if err != nil || given("default_query_exec_mode") {
		return pool, err
	}
	pooled, _, err := pgxDB{pool: pool}.pooler(ctx)
	if err != nil {
		pool.Close()
		return nil, (&Store{}).failure(ctx, "connect", err, 0)
	}
	if !pooled {
		return pool, nil
	}
	// A statement's next connection may not know what the one before
	// prepared.
	pool.Close()
	cfg.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	return connect(ctx, cfg)
}

// endsByItself reports whether connecting takes so little time that every call
// ends within seconds.
func endsByItself(cfg *pgx.ConnConfig) bool {
	return time.Duration(addresses(cfg))*cfg.ConnectTimeout <= maxBounded
}

// tableOf takes the parameter table out of a connection string, as the server
// would take it for a setting.
func tableOf(cfg *pgx.ConnConfig) string {
	table := cfg.RuntimeParams[tableParam]
	delete(cfg.RuntimeParams, tableParam)
	return table
}

// connect makes a pool with one connection in it.
func connect(ctx context.Context, cfg *pgxpool.Config) (*pgxpool.Pool, error) {
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("postgres: make a pool: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, (&Store{}).failure(ctx, "connect", err, 0)
	}
	return pool, nil
}

// ParseConfig reads a connection string as [Open] does: it returns the
// configuration of the pool that Open would make, with its defaults and time-outs,
// and the table that the string names, "" for the default. It is for those who add
// to the pool, a tracer say, and give it to [New], which then is not bounded: the
// pool is the caller's.
func ParseConfig(dsn string) (cfg *pgxpool.Config, table string, err error) {
	cfg, _, err = poolConfig(dsn)
	if err != nil {
		return nil, "", err
	}
	return cfg, tableOf(cfg.ConnConfig), nil
}

// poolConfig reads dsn and fills in what it leaves open. given tells whether
// it set a parameter of pgx or its pool.
func poolConfig(dsn string) (cfg *pgxpool.Config, given func(name string) bool, err error) {
	if strayAt(dsn) {
		return nil, nil, badDSN(errStrayAt)
	}
	cfg, err = pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, nil, badDSN(err)
	}
	// Here, what pgx and its pool take for themselves is still to be seen.
	all, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return nil, nil, badDSN(err)
	}
	given = func(name string) bool { _, ok := all.RuntimeParams[name]; return ok }
	if !given("pool_max_conns") {
		cfg.MaxConns = maxConns
	}
	if !given("pool_max_conn_lifetime") {
		cfg.MaxConnLifetime = maxLifetime
		if !given("pool_max_conn_lifetime_jitter") {
			cfg.MaxConnLifetimeJitter = maxLifetime / 6
		}
	}
	if !given("pool_max_conn_idle_time") {
		cfg.MaxConnIdleTime = maxIdleTime
	}
	cfg.ShouldPing = shouldPing

	conn := cfg.ConnConfig
	if conn.ConnectTimeout == 0 {
		conn.ConnectTimeout = connectTimeout
	}
	dialer := &net.Dialer{Timeout: min(dialTimeout, conn.ConnectTimeout), KeepAlive: 15 * time.Second}
	conn.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dialer.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &timedConn{Conn: c}, nil
	}
	lookup := conn.LookupFunc
	conn.LookupFunc = func(ctx context.Context, host string) ([]string, error) {
		ctx, cancel := context.WithTimeout(ctx, conn.ConnectTimeout)
		defer cancel()
		return lookup(ctx, host)
	}
	// Of several hosts, one that takes no writes is of no use.
	if addresses(conn) > 1 && conn.ValidateConnect == nil {
		conn.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	return cfg, given, nil
}

// addresses returns how many hosts a connection string names.
func addresses(cfg *pgx.ConnConfig) int {
	seen := map[string]bool{net.JoinHostPort(cfg.Host, fmt.Sprint(cfg.Port)): true}
	for _, other := range cfg.Fallbacks { // the same once more, with or without TLS, too
		seen[net.JoinHostPort(other.Host, fmt.Sprint(other.Port))] = true
	}
	return len(seen)
}

var errStrayAt = errors.New("an @ in the host or database")

// strayAt reports whether a URL has an @ in its host or the name of its database.
// There, it comes from a password in which an @ or a / is not escaped: pgx would take
// the rest of that password for a host or a database, and every error would repeat it.
func strayAt(dsn string) bool {
	rest, ok := strings.CutPrefix(dsn, "postgres://")
	if !ok {
		rest, ok = strings.CutPrefix(dsn, "postgresql://")
	}
	if !ok {
		return false
	}
	if i := strings.IndexAny(rest, "@/"); i >= 0 && rest[i] == '@' { // user and password, as pgx and libpq see them
		rest = rest[i+1:]
	}
	names, _, _ := strings.Cut(rest, "?")
	return strings.Contains(names, "@")
}

// badDSN is the error for a connection string that pgx does not understand.
// Its own text can repeat a part of it, which is a part of the password if a
// character is not escaped; so only what is known to hold none is passed on: its
// words for what is wrong, and a file that cannot be read.
func badDSN(err error) error {
	const shape = "; it looks like postgres://user:password@host:5432/database, with %-escapes for the characters :/?#[]@% in a password"
	text := err.Error()
	if file, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("postgres: the connection string names a file that cannot be read: %w", file)
	}
	for _, known := range wrongParams {
		if strings.Contains(text, known) {
			return errors.New("postgres: the connection string has a parameter that is wrong: " + known)
		}
	}
	for _, known := range wrongShapes {
		if strings.Contains(text, known) {
			return errors.New("postgres: the connection string cannot be read: " + known + shape)
		}
	}
	return errors.New("postgres: the connection string cannot be read" + shape)
}

// What pgx says of connection strings, which holds nothing of them. The first that
// matches is told, so what is more exact stands before what is less.
var (
	wrongParams = []string{
		"sslmode is invalid", "unable to add CA to cert pool", `both "sslcert" and "sslkey" are required`, "failed to decode sslkey",
		"unable to find sslpassword", "unable to decrypt key", "unable to load cert", "invalid sslcertmode", "failed to configure TLS",
		"failed to read service file", "unable to find service", "invalid connect_timeout", "unknown target_session_attrs value",
		"unknown channel_binding value", "invalid require_auth", "invalid min_protocol_version", "invalid max_protocol_version",
		"min_protocol_version cannot be greater than max_protocol_version",
		"invalid default_query_exec_mode", "cannot parse statement_cache_capacity", "cannot parse description_cache_capacity",
		"cannot parse pool_max_conns", "pool_max_conns too small", "cannot parse pool_min_conns", "cannot parse pool_min_idle_conns",
		"cannot parse pool_max_conn_lifetime_jitter", "cannot parse pool_max_conn_lifetime", "cannot parse pool_max_conn_idle_time",
		"cannot parse pool_health_check_period", "cannot parse pool_ping_timeout",
	}
	wrongShapes = []string{errStrayAt.Error(), "invalid port", "failed to parse as keyword/value", "failed to parse as URL"}
)

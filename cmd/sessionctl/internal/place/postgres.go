package place

import (
	"cmp"
	"context"
	"errors"
	"net"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/chisession/session/backend/postgres"
)

// dialPostgres connects as the application does, but waits longer for a
// statement: counting takes its time. Statements are not prepared by name, as
// there may be a pooler.
func dialPostgres(ctx context.Context, dsn string) (*pgxpool.Pool, error) {
	if dsn == "" {
		return nil, errors.New("the save path is empty: give postgres://user:password@host:5432/database")
	}
	cfg, _, err := postgres.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	cfg.MaxConns = 4
	cfg.ShouldPing = nil
	cfg.ConnConfig.DialFunc = (&net.Dialer{Timeout: dialTimeout}).DialContext
	cfg.ConnConfig.ConnectTimeout = 2 * dialTimeout
	cfg.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return pool, nil
}

// postgresConfig returns what a save path of PostgreSQL says, nil if it cannot
// be read.
func (t Target) postgresConfig() (cfg *pgconn.Config, table string) {
	pool, table, err := postgres.ParseConfig(t.SavePath)
	if err != nil {
		return nil, ""
	}
	return &pool.ConnConfig.Config, table
}

func describePostgres(t Target) string {
	cfg, _ := t.postgresConfig()
	if cfg == nil {
		return postgres.Name
	}
	at := cfg.Host
	if !Loopback(at) || net.ParseIP(at) != nil {
		at = net.JoinHostPort(cfg.Host, strconv.Itoa(int(cfg.Port)))
	}
	return "postgres at " + at + ", database " + cmp.Or(cfg.Database, cfg.User, "?") + ", table " + cmp.Or(t.Table, postgres.DefaultTable)
}

// unlogged reports whether the table is UNLOGGED: to operate on it is no matter
// of how safe it is, which doctor judges.
func (p *Place) unlogged() bool {
	ctx, cancel := context.WithTimeout(context.Background(), Timeout)
	defer cancel()
	var unlogged bool
	err := p.Postgres.QueryRow(ctx, "SELECT relpersistence = 'u' FROM pg_class WHERE oid = to_regclass($1)", p.QuotedTable()).Scan(&unlogged)
	return err == nil && unlogged
}

func (p *Place) postgresFacts(ctx context.Context) ([]Fact, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	var version string
	var rows, indexes, live, dead int64
	const query = `SELECT current_setting('server_version'), coalesce(pg_table_size(c.oid), 0), coalesce(pg_indexes_size(c.oid), 0),
			coalesce(s.n_live_tup, 0), coalesce(s.n_dead_tup, 0)
		FROM (SELECT to_regclass($1) AS oid) AS c LEFT JOIN pg_stat_user_tables AS s ON s.relid = c.oid`
	if err := p.Postgres.QueryRow(ctx, query, p.QuotedTable()).Scan(&version, &rows, &indexes, &live, &dead); err != nil {
		return nil, err
	}
	return []Fact{
		{"server version", version},
		{"rows in bytes", rows},
		{"indexes in bytes", indexes},
		{"live rows, as the server estimates", live},
		{"dead rows, not yet vacuumed", dead},
	}, nil
}

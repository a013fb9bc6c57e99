package place

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	redigo "github.com/gomodule/redigo/redis"

	"github.com/chisession/session/backend/mysql"
	"github.com/chisession/session/backend/postgres"
	"github.com/chisession/session/backend/sqlite"
)

// A Fact is one thing that a place says of itself: its Value is a string or an
// int64.
type Fact struct {
	Name  string `json:"name"`
	Value any    `json:"value"`
}

// Facts returns what the place says of itself. What it does not say is left
// out.
func (p *Place) Facts(ctx context.Context) ([]Fact, error) {
	switch {
	case p.Redis != nil, p.goredis != nil:
		return p.redisFacts()
	case p.MySQL != nil:
		return p.withExpired(ctx, p.mysqlFacts)
	case p.Postgres != nil:
		return p.withExpired(ctx, p.postgresFacts)
	case p.SQLite != nil:
		return p.withExpired(ctx, p.sqliteFacts)
	}
	return p.fileFacts(ctx)
}

// withExpired adds to facts how many records wait to be removed.
func (p *Place) withExpired(ctx context.Context, facts func(context.Context) ([]Fact, error)) ([]Fact, error) {
	all, err := facts(ctx)
	if err != nil {
		return nil, err
	}
	if n := p.Expired(ctx); n >= 0 {
		all = append(all, Fact{"expired, not yet removed", n})
	}
	return all, nil
}

func (p *Place) redisFacts() ([]Fact, error) {
	var facts []Fact
	info, err := redigo.String(p.Ask("INFO"))
	if err != nil {
		facts = append(facts, Fact{"server", "the account may not run INFO"})
	}
	said := map[string]string{}
	for line := range strings.Lines(info) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		said[key] = value
	}
	for _, f := range []struct{ name, key string }{
		{"server version", "redis_version"}, {"valkey version", "valkey_version"}, {"uptime in seconds", "uptime_in_seconds"},
		{"memory used in bytes", "used_memory"}, {"memory limit in bytes", "maxmemory"}, {"eviction policy", "maxmemory_policy"},
		{"connected clients", "connected_clients"}, {"keys expired", "expired_keys"}, {"keys evicted", "evicted_keys"},
	} {
		if n, err := strconv.ParseInt(said[f.key], 10, 64); err == nil {
			facts = append(facts, Fact{f.name, n})
		} else if said[f.key] != "" {
			facts = append(facts, Fact{f.name, said[f.key]})
		}
	}
	if n, err := redigo.Int64(p.Ask("DBSIZE")); err == nil {
		facts = append(facts, Fact{"keys in the database", n})
	}
	return facts, nil
}

func (p *Place) mysqlFacts(ctx context.Context) ([]Fact, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	var version string
	if err := p.MySQL.GetContext(ctx, &version, "SELECT VERSION()"); err != nil {
		return nil, err
	}
	database, table, qualified := strings.Cut(p.Table(), ".")
	if !qualified {
		database, table = "", p.Table()
	}
	var size struct {
		Data  int64 `db:"data"`
		Index int64 `db:"idx"`
		Free  int64 `db:"free"`
	}
	const query = `SELECT COALESCE(DATA_LENGTH, 0) AS data, COALESCE(INDEX_LENGTH, 0) AS idx, COALESCE(DATA_FREE, 0) AS free
		FROM information_schema.TABLES WHERE TABLE_SCHEMA = COALESCE(NULLIF(?, ''), DATABASE()) AND TABLE_NAME = ?`
	if err := p.MySQL.GetContext(ctx, &size, query, database, table); err != nil {
		return nil, err
	}
	return []Fact{
		{"server version", version},
		{"rows in bytes", size.Data},
		{"indexes in bytes", size.Index},
		{"free in bytes", size.Free},
	}, nil
}

// TableOf returns the table that a save path names, "" if it names none.
func TableOf(provider, savePath string) (table string) {
	switch provider {
	case postgres.Name:
		_, table = Target{SavePath: savePath}.postgresConfig()
	case sqlite.Name:
		if path, err := sqlite.ParsePath(savePath); err == nil {
			table = path.Table
		}
	}
	return table
}

// Table returns the table's name, or the default, which all have.
func (p *Place) Table() string { return cmp.Or(p.Target.Table, mysql.DefaultTable) }

// QuotedTable returns the table's name for a statement.
func (p *Place) QuotedTable() string {
	quote := `"`
	if p.MySQL != nil {
		quote = "`"
	}
	return quote + strings.ReplaceAll(p.Table(), ".", quote+"."+quote) + quote
}

// Expired returns how many records wait to be removed, or -1 if that is not
// to be known without looking at each.
func (p *Place) Expired(ctx context.Context) (n int64) {
	count := "SELECT COUNT(*) FROM " + p.QuotedTable() + " WHERE expires <= "
	var err error
	switch {
	case p.MySQL != nil:
		err = p.MySQL.GetContext(ctx, &n, count+"UTC_TIMESTAMP(6)")
	case p.Postgres != nil:
		const due = "now() AND bucket <= floor(extract(epoch FROM now()))::bigint / 300" // by the index on bucket
		err = p.Postgres.QueryRow(ctx, count+due).Scan(&n)
	case p.SQLite != nil:
		err = p.SQLite.QueryRowContext(ctx, count+"?", time.Now().UnixMilli()).Scan(&n)
	default:
		return -1
	}
	if err != nil {
		return -1
	}
	return n
}

// fileFacts adds up what is in the directory.
func (p *Place) fileFacts(ctx context.Context) ([]Fact, error) {
	files, bytes := 0, int64(0)
	err := filepath.WalkDir(p.Dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() { // an error: ended meanwhile
			files++
			bytes += info.Size()
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("look through the session directory: %w", err)
	}
	return []Fact{{"files", int64(files)}, {"bytes", bytes}}, nil
}

package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// schemaVersion is the version of the table that this package reads and
// writes. It stands in the table's comment. A later version of the package
// that needs another shape raises it and brings the ALTER that leads from one
// to the next; an older one then refuses the table at start.
const schemaVersion = 1

const commentPrefix = "session schema "

// The pages of the table are left a third empty, for new versions of their own
// rows. Data is sealed, so compressing it would only cost time: EXTERNAL.
// Anonymous sessions have no entry in the index on username. A table in which
// every row changes all day is to be vacuumed long before a fifth of it is
// dead.
var createTable = []string{
	`CREATE{unlogged} TABLE IF NOT EXISTS {table} (
  id       uuid        PRIMARY KEY,
  version  bigint      NOT NULL,
  expires  timestamptz NOT NULL,
  bucket   integer     NOT NULL, -- of expires: five minutes each, since 1970
  username bytea,                -- NULL: anonymous
  data     bytea       NOT NULL
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05)`,
	`ALTER TABLE {table} ALTER COLUMN data SET STORAGE EXTERNAL`,
	`CREATE INDEX IF NOT EXISTS {bucket} ON {table} (bucket)`,
	`CREATE INDEX IF NOT EXISTS {username} ON {table} (username) WHERE username IS NOT NULL`,
	`COMMENT ON TABLE {table} IS '{comment}'`,
}

// Schema returns the statements that create the table ("table" or
// "schema.table"; empty for the default), for those who create it themselves,
// as its owner. Running them again does no harm. For [Options] with Unlogged,
// write CREATE UNLOGGED TABLE in the first. It panics if the name is not one
// that [Options] takes.
func Schema(table string) []string {
	if table == "" {
		table = DefaultTable
	}
	name, err := parseTable(table)
	if err != nil {
		panic(err)
	}
	return name.schema(false)
}

// tableName is a checked table name; schema may be empty.
type tableName struct{ namespace, table string }

// A name of PostgreSQL has at most 63 bytes; those of the indexes are longer
// than the table's by ten.
var namePattern = regexp.MustCompile(`^(?:([A-Za-z0-9_]{1,63})\.)?([A-Za-z0-9_]{1,53})$`)

func parseTable(name string) (tableName, error) {
	parts := namePattern.FindStringSubmatch(name)
	if parts == nil {
		return tableName{}, refused("Options.Table %q: use letters, digits and underscores, at most 53, as in sessions or myschema.sessions", name)
	}
	return tableName{parts[1], parts[2]}, nil
}

func (t tableName) String() string {
	if t.namespace == "" {
		return t.table
	}
	return t.namespace + "." + t.table
}

// quoted returns the name as it stands in a statement.
func (t tableName) quoted() string {
	if t.namespace == "" {
		return `"` + t.table + `"`
	}
	return `"` + t.namespace + `"."` + t.table + `"`
}

func (t tableName) schema(unlogged bool) []string {
	with := ""
	if unlogged {
		with = " UNLOGGED"
	}
	fill := strings.NewReplacer("{table}", t.quoted(), "{unlogged}", with, "{comment}", commentPrefix+strconv.Itoa(schemaVersion),
		"{bucket}", `"`+t.table+`_bucket"`, "{username}", `"`+t.table+`_username"`)
	statements := make([]string, len(createTable))
	for i, ddl := range createTable {
		statements[i] = fill.Replace(ddl)
	}
	return statements
}

// checkTable makes sure that there is a table of the right shape.
func (s *Store) checkTable(ctx context.Context, t tableName, opts Options) error {
	found, err := s.inspect(ctx, t, opts)
	if err != nil || found {
		return err
	}
	if opts.NoCreate || opts.NoProbe {
		return refused("there is no table %s: create it with the statements of postgres.Schema, or unset Options.NoCreate", t)
	}
	// Several processes may get here at once, and IF NOT EXISTS does not keep
	// them from failing. As one message without parameters this is one
	// transaction, which takes the lock and gives it back.
	ddl := "SELECT pg_advisory_xact_lock(7165909182246081535);" + strings.Join(t.schema(opts.Unlogged), ";")
	err = s.call(ctx, "create table "+t.String(), again, func(bool) error {
		_, err := s.db.exec(ctx, ddl)
		return err
	})
	if sqlState(err) == stateNoRight {
		return fmt.Errorf("postgres: create table %s: grant CREATE on the schema, or create it with the statements of postgres.Schema (SQLSTATE %s)", t, stateNoRight)
	}
	if err != nil {
		return err
	}
	found, err = s.inspect(ctx, t, opts)
	if err == nil && !found {
		err = refused("table %s was created and is not there", t)
	}
	return err
}

// inspect reports whether the table is there. One of another shape is an
// error.
func (s *Store) inspect(ctx context.Context, t tableName, opts Options) (found bool, err error) {
	var kind, persistence, comment string
	const query = `SELECT relkind::text, relpersistence::text, coalesce(obj_description(oid, 'pg_class'), '')
		FROM pg_class WHERE oid = to_regclass($1)`
	err = s.call(ctx, "look for table "+t.String(), again, func(bool) error {
		found = true
		err := s.db.row(ctx, query, []any{t.quoted()}, &kind, &persistence, &comment)
		if errors.Is(err, sql.ErrNoRows) {
			found = false
			return nil
		}
		return err
	})
	if err != nil || !found {
		return false, err
	}
	if err := checkComment(t, comment); err != nil {
		return true, err
	}
	if kind != "r" {
		return true, refused("%s is not an ordinary table: choose another Options.Table", t)
	}
	switch unlogged := persistence == "u"; {
	case unlogged && !opts.Unlogged:
		return true, refused("table %s is UNLOGGED, so a crash or a failover loses every session: ALTER TABLE it to SET LOGGED, or set Options.Unlogged", t)
	case !unlogged && opts.Unlogged:
		return true, refused("Options.Unlogged is set, and table %s is not UNLOGGED: ALTER TABLE it to SET UNLOGGED, or unset the option", t)
	}
	if err := s.checkColumns(ctx, t); err != nil {
		return true, err
	}
	return true, s.checkIndexes(ctx, t)
}

// checkComment reads the schema's version.
func checkComment(t tableName, comment string) error {
	text, ours := strings.CutPrefix(comment, commentPrefix)
	version, err := strconv.Atoi(text)
	switch {
	case !ours || err != nil:
		return refused("table %s is not a session table (its comment is not %q): choose another Options.Table, or drop it",
			t, commentPrefix+strconv.Itoa(schemaVersion))
	case version > schemaVersion:
		return refused("table %s has schema version %d, this library knows %d: update the library", t, version, schemaVersion)
	case version < schemaVersion:
		return refused("table %s has schema version %d, this library needs %d: upgrade the table", t, version, schemaVersion)
	}
	return nil
}

var columnTypes = map[string]string{
	"id":       "uuid not null",
	"version":  "bigint not null",
	"expires":  "timestamp with time zone not null",
	"bucket":   "integer not null",
	"username": "bytea",
	"data":     "bytea not null",
}

func (s *Store) checkColumns(ctx context.Context, t tableName) error {
	have := map[string]string{}
	const query = `SELECT attname::text, format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' not null' ELSE '' END
		FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped`
	err := s.call(ctx, "look at the columns of table "+t.String(), again, func(bool) error {
		return s.db.rows(ctx, query, []any{t.quoted()}, func(scan func(...any) error) error {
			var name, typ string
			err := scan(&name, &typ)
			have[name] = typ
			return err
		})
	})
	if err != nil {
		return err
	}
	for name, want := range columnTypes {
		if got := have[name]; got != want {
			return refused("column %s of table %s is %q, want %q: choose another Options.Table, or create it with the statements of postgres.Schema",
				name, t, got, want)
		}
	}
	return nil
}

// checkIndexes looks for the three indexes: without the unique one nothing
// would be right, without the others it would all work, and get slower with
// every session.
func (s *Store) checkIndexes(ctx context.Context, t tableName) error {
	missing := map[string]bool{"id": true, "bucket": true, "username": true}
	const query = `SELECT pg_get_indexdef(indexrelid, 1, true), indisunique AND indnatts = 1
		FROM pg_index WHERE indrelid = to_regclass($1) AND indisvalid
			AND (indpred IS NULL OR pg_get_expr(indpred, indrelid) = '(username IS NOT NULL)')`
	err := s.call(ctx, "look at the indexes of table "+t.String(), again, func(bool) error {
		return s.db.rows(ctx, query, []any{t.quoted()}, func(scan func(...any) error) error {
			var column string
			var unique bool
			err := scan(&column, &unique)
			if column != "id" || unique {
				delete(missing, column)
			}
			return err
		})
	})
	if err != nil {
		return err
	}
	for column := range missing {
		return refused("table %s has no index on %s: add it as the statements of postgres.Schema have it", t, column)
	}
	return nil
}

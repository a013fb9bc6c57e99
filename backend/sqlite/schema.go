package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// schemaComment stands in the table's own text, which SQLite keeps as it was
// written, and so tells its version.
const schemaComment = "/* session schema 1 */"

const createTable = `CREATE TABLE IF NOT EXISTS "{table}" ( ` + schemaComment + `
  id       BLOB    NOT NULL PRIMARY KEY,
  version  INTEGER NOT NULL,
  expires  INTEGER NOT NULL, -- milliseconds since 1970, UTC
  username BLOB,             -- NULL: anonymous
  data     BLOB    NOT NULL
)`

// Schema returns the statements that create the table (empty for the default),
// for those who create it themselves. Running them again does no harm. It panics
// if the name is not one that [Options] takes.
func Schema(table string) []string {
	if table == "" {
		table = DefaultTable
	}
	if err := checkName(table); err != nil {
		panic(err)
	}
	fill := strings.NewReplacer("{table}", table).Replace
	return []string{
		fill(createTable),
		fill(`CREATE INDEX IF NOT EXISTS "{table}_expires" ON "{table}" (expires)`),
		fill(`CREATE INDEX IF NOT EXISTS "{table}_username" ON "{table}" (username) WHERE username IS NOT NULL`),
	}
}

var namePattern = regexp.MustCompile(`^[A-Za-z0-9_]{1,64}$`)

func checkName(table string) error {
	if !namePattern.MatchString(table) || strings.HasPrefix(strings.ToLower(table), "sqlite_") {
		return fmt.Errorf("sqlite: Options.Table %q: use letters, digits and underscores, at most 64, as in sessions", table)
	}
	return nil
}

// checkTable makes sure that the database is in WAL mode and has a table of the
// right shape, and learns what a write is worth.
func (s *Store) checkTable(ctx context.Context, opts Options) error {
	var mode string
	err := s.writing(ctx, "look at the journal mode", func() error {
		return s.write.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode)
	})
	if err != nil {
		return err
	}
	if !strings.EqualFold(mode, "wal") {
		return fmt.Errorf("sqlite: the database is in journal mode %s, in which readers wait for the writer: run PRAGMA journal_mode=WAL once", mode)
	}
	err = s.writing(ctx, "look at synchronous", func() error {
		return s.write.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&s.synchronous)
	})
	if err != nil {
		return err
	}
	found, err := s.inspect(ctx, opts.Table)
	if err != nil || found {
		return err
	}
	if opts.NoCreate || opts.NoProbe {
		return fmt.Errorf("sqlite: there is no table %s: create it with the statements of sqlite.Schema, or unset Options.NoCreate", opts.Table)
	}
	for _, ddl := range Schema(opts.Table) {
		err := s.writing(ctx, "create table "+opts.Table, func() error {
			_, err := s.write.ExecContext(ctx, ddl)
			return err
		})
		if err != nil {
			return err
		}
	}
	found, err = s.inspect(ctx, opts.Table)
	if err == nil && !found {
		err = fmt.Errorf("sqlite: table %s was created and is not there", opts.Table)
	}
	return err
}

// inspect reports whether the table is there with its indexes. Indexes that
// are missing yet, as another process is about to make them, count as not there;
// a table of another shape is an error.
func (s *Store) inspect(ctx context.Context, table string) (found bool, err error) {
	var text string
	var indexes int
	err = s.reading(ctx, "look for table "+table, func() error {
		err := s.read.QueryRowContext(ctx, "SELECT sql FROM sqlite_schema WHERE name = ? COLLATE NOCASE", table).Scan(&text)
		found = err == nil // also of an earlier try, which met a writer
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		return s.read.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND name COLLATE NOCASE IN (?, ?)",
			table+"_expires", table+"_username").Scan(&indexes)
	})
	if err != nil || !found {
		return false, err
	}
	want := strings.NewReplacer("{table}", table, " IF NOT EXISTS", "").Replace(createTable)
	if !strings.EqualFold(text, want) {
		return true, fmt.Errorf("sqlite: table %s is not a session table of this version: choose another Options.Table, or create it with the statements of sqlite.Schema", table)
	}
	return indexes == 2, nil
}

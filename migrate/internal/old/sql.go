package old

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"

	"github.com/chisession/session/migrate"
)

// SQL is a store of one row a session, in a table of a [Dialect].
type SQL struct {
	db                  *sql.DB
	dialect             Dialect
	table               string
	load, remove, count string
	args                []any // of load, behind the ID
}

// Columns name a table and its columns.
type Columns struct{ Table, Key, Data string }

// NewSQL returns a store in a table. live is the condition, beyond the key,
// under which a row is a live session; args are its arguments, a ? each. It
// panics if the table's name is none, as it stands in a statement.
func NewSQL(db *sql.DB, d Dialect, c Columns, live string, args ...any) *SQL {
	if !d.names.MatchString(c.Table) {
		panic(fmt.Sprintf("migrate: %q is no name for a table", c.Table))
	}
	return &SQL{
		db: db, dialect: d, table: c.Table, args: args,
		load:   d.statement("SELECT CASE WHEN {size} <= ? THEN {data} END, COALESCE({size}, 0) FROM {table} WHERE {is key} AND ({live})", c, live),
		remove: d.statement("DELETE FROM {table} WHERE {is key} AND {data} = ?", c, live),
		count: d.statement("SELECT COALESCE(SUM(CASE WHEN alive THEN 1 ELSE 0 END), 0), COUNT(*) FROM "+
			"(SELECT ({live}) AS alive FROM {table} WHERE {size} > 0 AND {begins} = ? LIMIT ?) AS seen", c, live),
	}
}

// Load implements migrate.Source, by one statement, which does not send a
// record that is too long.
func (s *SQL) Load(ctx context.Context, id string, max int) ([]byte, error) {
	var data []byte
	var size int
	err := s.db.QueryRowContext(ctx, s.load, append([]any{max, id, id}, s.args...)...).Scan(&data, &size)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, migrate.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.dialect.name, err)
	}
	return checked(data, size, max)
}

// Remove implements migrate.Source, by one statement.
func (s *SQL) Remove(ctx context.Context, id string, data []byte) error {
	result, err := s.db.ExecContext(ctx, s.remove, id, id, data)
	if err != nil {
		return fmt.Errorf("%s: %w", s.dialect.name, err)
	}
	n, err := result.RowsAffected()
	if err != nil {
		return fmt.Errorf("%s: %w", s.dialect.name, err)
	}
	return removed(n)
}

var (
	simpleName    = regexp.MustCompile(`^[A-Za-z0-9_$]{1,64}$`)
	qualifiedName = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]{0,62}\.)?[A-Za-z_][A-Za-z0-9_]{0,62}$`)
)

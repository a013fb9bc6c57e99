package old

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"

	"github.com/chisession/session/migrate"
)

// SQL is a store of one row a session, in MySQL or MariaDB.
type SQL struct {
	db                  *sql.DB
	columns             Columns
	load, remove, count string
	args                []any // of load, behind the ID
}

// Columns name a table and its columns.
type Columns struct{ Table, Key, Data string }

var names = regexp.MustCompile(`^[A-Za-z0-9_$]{1,64}$`)

// NewSQL returns a store in a table. live is the condition, beyond the key,
// under which a row is a live session; args are its arguments. It panics if
// the table's name is none, as it stands in a statement.
func NewSQL(db *sql.DB, c Columns, live string, args ...any) *SQL {
	if !names.MatchString(c.Table) {
		panic(fmt.Sprintf("migrate: %q is no name for a table", c.Table))
	}
	// Keys are often of a collation without case, in which several IDs are
	// one; the cast compares bytes, on the one row that the index finds.
	where := fmt.Sprintf(" FROM `%s` WHERE `%s` = ? AND CAST(`%s` AS BINARY) = ?", c.Table, c.Key, c.Key)
	return &SQL{
		db:      db,
		columns: c,
		count: fmt.Sprintf("SELECT COALESCE(SUM(`alive`), 0), COUNT(*) FROM (SELECT (%s) AS `alive` FROM `%s` WHERE LENGTH(`%s`) > 0 AND LEFT(`%s`, ?) = ? LIMIT ?) AS `seen`",
			live, c.Table, c.Data, c.Key),
		load:   fmt.Sprintf("SELECT IF(LENGTH(`%s`) <= ?, `%s`, ''), COALESCE(LENGTH(`%s`), 0)", c.Data, c.Data, c.Data) + where + " AND " + live,
		remove: fmt.Sprintf("DELETE%s AND `%s` = ?", where, c.Data),
		args:   args,
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
		return nil, fmt.Errorf("mysql: %w", err)
	}
	return checked(data, size, max)
}

// Remove implements migrate.Source, by one statement.
func (s *SQL) Remove(ctx context.Context, id string, data []byte) error {
	result, err := s.db.ExecContext(ctx, s.remove, id, id, data)
	if err != nil {
		return fmt.Errorf("mysql: %w", err)
	}
	n, err := result.RowsAffected()
	if err != nil {
		return fmt.Errorf("mysql: %w", err)
	}
	return removed(n)
}

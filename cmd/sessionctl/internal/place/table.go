package place

import (
	"context"
	"errors"

	driver "github.com/go-sql-driver/mysql"
)

// noSuchTable is MySQL's number of that error.
const noSuchTable = 1146

// TableMissing reports whether the table of an SQL database is not there. What
// cannot be asked is not missing.
func (p *Place) TableMissing(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	var there bool
	var err error
	switch {
	case p.MySQL != nil:
		rows, err := p.MySQL.QueryContext(ctx, "SELECT 1 FROM "+p.QuotedTable()+" LIMIT 0")
		if err == nil {
			err = rows.Close()
		}
		refused, ok := errors.AsType[*driver.MySQLError](err)
		return ok && refused.Number == noSuchTable
	case p.Postgres != nil:
		err = p.Postgres.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", p.QuotedTable()).Scan(&there)
	case p.SQLite != nil:
		err = p.SQLite.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = ?)", p.Table()).Scan(&there)
	default:
		return false
	}
	return err == nil && !there
}

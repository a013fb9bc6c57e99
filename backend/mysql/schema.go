package mysql

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

const createTable = `CREATE TABLE IF NOT EXISTS {table} (
  id      BINARY(16)      NOT NULL,
  version BIGINT UNSIGNED NOT NULL,
  expires DATETIME(6)     NOT NULL, -- UTC
  user    VARBINARY(255)  NULL,     -- NULL: anonymous
  data    MEDIUMBLOB      NOT NULL,
  PRIMARY KEY (id),
  KEY expires (expires),
  KEY user (user)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC COMMENT='{comment}'`

// Schema returns the statements that create the table ("table" or
// "database.table"; empty for the default), for those who create it
// themselves. Running them again does no harm. It panics if the name is not
// one that [Options] takes.
func Schema(table string) []string {
	if table == "" {
		table = DefaultTable
	}
	name, err := parseTable(table)
	if err != nil {
		panic(err)
	}
	ddl := name.in(createTable)
	return []string{strings.ReplaceAll(ddl, "{comment}", commentPrefix+strconv.Itoa(schemaVersion))}
}

// tableName is a checked table name; database may be empty.
type tableName struct{ database, table string }

var namePattern = regexp.MustCompile(`^(?:([A-Za-z0-9_]{1,64})\.)?([A-Za-z0-9_]{1,64})$`)

func parseTable(name string) (tableName, error) {
	parts := namePattern.FindStringSubmatch(name)
	if parts == nil {
		return tableName{}, fmt.Errorf("mysql: Options.Table %q: use letters, digits and underscores, at most 64, as in sessions or mydb.sessions", name)
	}
	return tableName{parts[1], parts[2]}, nil
}

func (t tableName) String() string {
	if t.database == "" {
		return t.table
	}
	return t.database + "." + t.table
}

// in returns query with {table} replaced by the quoted name.
func (t tableName) in(query string) string {
	quoted := "`" + t.table + "`"
	if t.database != "" {
		quoted = "`" + t.database + "`." + quoted
	}
	return strings.ReplaceAll(query, "{table}", quoted)
}

// checkTable makes sure that there is a table of the right shape.
func (s *Store) checkTable(ctx context.Context, t tableName, noCreate bool) error {
	full := t
	if t.database == "" {
		var database sql.NullString
		if err := s.db.GetContext(ctx, &database, "SELECT DATABASE()"); err != nil {
			return s.failure("look for table "+t.String(), err, 0)
		}
		if !database.Valid {
			return errors.New("mysql: the DSN names no database: user:password@tcp(host:3306)/database")
		}
		full.database = database.String
	}
	found, err := s.inspect(ctx, full)
	if err != nil || found {
		return err
	}
	if noCreate {
		return fmt.Errorf("mysql: there is no table %s: create it with the statements of mysql.Schema, or unset Options.NoCreate", full)
	}
	// Two processes may get here at once: the second finds the table there.
	for _, ddl := range Schema(t.String()) {
		if _, err := s.db.ExecContext(ctx, ddl); err != nil {
			return s.failure("create table "+full.String()+" (grant CREATE, or create it with the statements of mysql.Schema)", err, 0)
		}
	}
	found, err = s.inspect(ctx, full)
	if err == nil && !found {
		err = fmt.Errorf("mysql: table %s was created and is not there", full)
	}
	return err
}

// inspect reports whether the table is there. One of another shape is an
// error.
func (s *Store) inspect(ctx context.Context, t tableName) (found bool, err error) {
	var engine sql.NullString // NULL for a view
	var comment string
	const query = "SELECT ENGINE, TABLE_COMMENT FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?"
	err = s.db.QueryRowContext(ctx, query, t.database, t.table).Scan(&engine, &comment)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, s.failure("look for table "+t.String(), err, 0)
	}
	if err := checkComment(t, comment); err != nil {
		return true, err
	}
	if !strings.EqualFold(engine.String, "InnoDB") {
		return true, fmt.Errorf("mysql: table %s is kept by engine %q, which loses sessions in a crash: ALTER TABLE it to ENGINE=InnoDB", t, engine.String)
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
		return fmt.Errorf("mysql: table %s is not a session table (its comment is not %q): choose another Options.Table, or drop it",
			t, commentPrefix+strconv.Itoa(schemaVersion))
	case version > schemaVersion:
		return fmt.Errorf("mysql: table %s has schema version %d, this library knows %d: update the library", t, version, schemaVersion)
	case version < schemaVersion:
		return fmt.Errorf("mysql: table %s has schema version %d, this library needs %d: upgrade the table", t, version, schemaVersion)
	}
	return nil
}

var columnTypes = map[string]string{
	"id":      "binary(16) not null",
	"version": "bigint unsigned not null",
	"expires": "datetime(6) not null",
	"user":    "varbinary(255) null",
	"data":    "mediumblob not null",
}

// displayWidth is what MariaDB still writes behind an integer type.
var displayWidth = regexp.MustCompile(`^(bigint)\(\d+\)`)

func (s *Store) checkColumns(ctx context.Context, t tableName) error {
	have := map[string]string{}
	var name, typ, nullable string
	const query = "SELECT COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?"
	err := s.eachRow(ctx, query, t, func() {
		null := " not null"
		if nullable == "YES" {
			null = " null"
		}
		have[strings.ToLower(name)] = displayWidth.ReplaceAllString(strings.ToLower(typ), "$1") + null
	}, &name, &typ, &nullable)
	if err != nil {
		return s.failure("look at the columns of table "+t.String(), err, 0)
	}
	for name, want := range columnTypes {
		if got := have[name]; got != want {
			return fmt.Errorf("mysql: column %s of table %s is %q, want %q: choose another Options.Table, or create it with the statements of mysql.Schema",
				name, t, got, want)
		}
	}
	return nil
}

// checkIndexes looks for the three indexes: without them it would all work,
// and get slower with every session.
func (s *Store) checkIndexes(ctx context.Context, t tableName) error {
	missing := map[string]string{"primary": "id", "expires": "expires", "user": "user"}
	var index, column string
	const query = `SELECT INDEX_NAME, COLUMN_NAME FROM information_schema.STATISTICS
		WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND SEQ_IN_INDEX = 1`
	err := s.eachRow(ctx, query, t, func() {
		if missing[strings.ToLower(index)] == strings.ToLower(column) {
			delete(missing, strings.ToLower(index))
		}
	}, &index, &column)
	if err != nil {
		return s.failure("look at the indexes of table "+t.String(), err, 0)
	}
	for index, column := range missing {
		return fmt.Errorf("mysql: table %s has no index %s (%s): add it as the statements of mysql.Schema have it", t, index, column)
	}
	return nil
}

// eachRow runs a query about the table and calls f for each row, scanned into
// dest.
func (s *Store) eachRow(ctx context.Context, query string, t tableName, f func(), dest ...any) error {
	rows, err := s.db.QueryContext(ctx, query, t.database, t.table)
	if err != nil {
		return err
	}
	defer rows.Close() // for the early return; Err has what Close could say
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		f()
	}
	return rows.Err()
}

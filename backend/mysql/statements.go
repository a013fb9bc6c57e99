package mysql

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
)

// The statements. {table} is the quoted name, {at} a DATETIME(6) from a
// parameter in microseconds since 1970 UTC, {micros} the expiry in such
// microseconds. Instants travel as integers, so neither parseTime and loc of a
// DSN nor the session's time_zone have a say; only what a pool of our own
// loads comes as text.
//
// {alive} is the condition that a record has not expired, as a sum that no
// index can answer: beside "id = ?", an optimizer that sees a small table
// would otherwise go by the index on expires, and lock a range of it. {live}
// is the same for those that are to use that index.
const (
	sqlAt     = "TIMESTAMP'1970-01-01 00:00:00' + INTERVAL ? MICROSECOND"
	sqlMicros = "TIMESTAMPDIFF(MICROSECOND, TIMESTAMP'1970-01-01 00:00:00', expires)"
	sqlAlive  = "TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(6), expires) > 0"
	sqlLive   = "expires > UTC_TIMESTAMP(6)"

	// By the server's clock the record is live or not; as a condition of
	// WHERE the same comparison made the statement 7 % slower (MariaDB
	// 10.11). See load.go for the two forms.
	sqlLoadTexts   = "SELECT version, expires, UTC_TIMESTAMP(6), user, data FROM {table} WHERE id = ?"
	sqlLoadNumbers = "SELECT version, {micros}, user, data, {live} FROM {table} WHERE id = ?"

	sqlCreate = "INSERT INTO {table} (id, version, expires, user, data) VALUES (?, 1, {at}, ?, ?)"

	// The version changes in every row that is matched; so the number of
	// affected rows means the same with clientFoundRows and without.
	sqlUpdate = "UPDATE {table} SET version = version + 1, expires = GREATEST(expires, {at}), user = ?, data = ?" +
		" WHERE id = ? AND version = ? AND {alive}"
	sqlShorten = "UPDATE {table} SET version = version + 1, expires = {at}, user = ?, data = ?" +
		" WHERE id = ? AND version = ? AND {alive}"

	sqlTouch         = "UPDATE {table} SET expires = {at} WHERE id = ? AND {alive} AND {micros} < ?"
	sqlDelete        = "DELETE FROM {table} WHERE id = ?"
	sqlDeleteVersion = "DELETE FROM {table} WHERE id = ? AND version = ? AND {alive}"

	// Why did the statement before change nothing?
	sqlExists = "SELECT 1 FROM {table} WHERE id = ? AND {alive}"

	sqlSweep  = "DELETE FROM {table} WHERE expires <= UTC_TIMESTAMP(6) ORDER BY expires LIMIT ?"
	sqlByUser = "SELECT id, version, {micros}, user, LEFT(data, 512) FROM {table} FORCE INDEX (user) WHERE user = ? AND {live}"

	// The newest, by the primary key from its end; and the newest of a range
	// of users, sorted.
	sqlList       = "SELECT id, version, {micros}, user, LEFT(data, 512) FROM {table} FORCE INDEX (PRIMARY) WHERE {alive} ORDER BY id DESC LIMIT ?"
	sqlListPrefix = "SELECT id, version, {micros}, user, LEFT(data, 512) FROM {table} FORCE INDEX (user)" +
		" WHERE user >= ? AND user < ? AND {alive} ORDER BY id DESC LIMIT ?"

	// Which of the records named are not there in that version? JSON is the only
	// list that both MariaDB and MySQL take as one parameter.
	sqlChanged = "SELECT k.i FROM JSON_TABLE(?, '$[*]' COLUMNS (i FOR ORDINALITY, id CHAR(32) PATH '$[0]', version BIGINT UNSIGNED PATH '$[1]')) k" +
		" LEFT JOIN {table} t ON t.id = UNHEX(k.id) AND t.version = k.version AND TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(6), t.expires) > 0" +
		" WHERE t.id IS NULL"

	sqlCount = "SELECT COUNT(*) FROM {table} FORCE INDEX (expires) WHERE {live}"
)

// A statement is one of the store's. What requests do all the time is prepared,
// once a connection (database/sql does so when it is first used there); the
// others go as text each time, their parameters put in by the driver, so that
// a pool takes little of the server's max_prepared_stmt_count.
type statement struct {
	text     string
	prepared *sqlx.Stmt // nil: always as text
}

type statements struct {
	load, create, update, touch, deleteVersion    statement // to be prepared
	shorten, delete, exists, sweep, byUser, count statement
	list, listPrefix, changed                     statement
}

// fill sets the texts, for a pool of our own or a caller's (see load.go).
func (s *statements) fill(t tableName, owned bool) {
	load := sqlLoadNumbers
	if owned {
		load = sqlLoadTexts
	}
	for _, f := range []struct {
		stmt  *statement
		query string
	}{
		{&s.load, load}, {&s.create, sqlCreate}, {&s.update, sqlUpdate}, {&s.touch, sqlTouch},
		{&s.shorten, sqlShorten}, {&s.delete, sqlDelete}, {&s.deleteVersion, sqlDeleteVersion},
		{&s.exists, sqlExists}, {&s.sweep, sqlSweep}, {&s.byUser, sqlByUser}, {&s.count, sqlCount},
		{&s.list, sqlList}, {&s.listPrefix, sqlListPrefix}, {&s.changed, sqlChanged},
	} {
		f.stmt.text = expand(t, f.query)
	}
}

// hot are the statements that are prepared.
func (s *statements) hot() []*statement {
	return []*statement{&s.load, &s.create, &s.update, &s.touch, &s.deleteVersion}
}

// prepare prepares the hot ones, on one connection. After an error, close those
// that were.
func (s *statements) prepare(ctx context.Context, db *sqlx.DB) error {
	for _, stmt := range s.hot() {
		prepared, err := db.PreparexContext(ctx, stmt.text)
		if err != nil {
			return err
		}
		stmt.prepared = prepared
	}
	return nil
}

func (s *statements) close() error {
	var errs []error
	for _, stmt := range s.hot() {
		if stmt.prepared != nil {
			errs = append(errs, stmt.prepared.Close())
		}
	}
	return errors.Join(errs...)
}

// execute runs stmt. A server that prepares no more gets it as text.
func (s *Store) execute(ctx context.Context, stmt *statement, args []any) (sql.Result, error) {
	if stmt.prepared != nil {
		res, err := stmt.prepared.ExecContext(ctx, args...)
		if !preparesNoMore(err) {
			return res, err
		}
	}
	return s.db.ExecContext(ctx, stmt.text, args...)
}

// row runs stmt, which finds one row at the most.
func (s *Store) row(ctx context.Context, stmt *statement, args ...any) *sql.Row {
	if stmt.prepared != nil {
		row := stmt.prepared.QueryRowContext(ctx, args...)
		if !preparesNoMore(row.Err()) {
			return row
		}
	}
	return s.db.QueryRowContext(ctx, stmt.text, args...)
}

var fragments = strings.NewReplacer("{at}", sqlAt, "{micros}", sqlMicros, "{alive}", sqlAlive, "{live}", sqlLive)

// expand fills in the table and the fragments of a statement.
func expand(t tableName, query string) string {
	return t.in(fragments.Replace(query))
}

// maxMicros is the last instant of a DATETIME(6). Beyond it the sum would be
// NULL, which some sql_modes turn into year 0.
var maxMicros = time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC).UnixMicro()

// micros returns t as the parameter of {at}. Instants that a DATETIME cannot
// hold become the nearest ones that it can: far future, or long expired.
func micros(t time.Time) int64 {
	if t.Year() > 9999 {
		return maxMicros
	}
	return min(max(t.UnixMicro(), 0), maxMicros)
}

// instant is the other direction.
func instant(micros int64) time.Time { return time.UnixMicro(micros).UTC() }

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"strings"
)

// The statements. {table} is the quoted name; the last ? is the time now, in
// milliseconds since 1970, but for sqlSweep.
const (
	sqlLoad   = "SELECT version, expires, username, data FROM {table} WHERE id = ? AND expires > ?"
	sqlExists = "SELECT 1 FROM {table} WHERE id = ? AND expires > ?"

	// The last parameter only keeps it in line with the others.
	sqlCreate = "INSERT INTO {table} (id, version, expires, username, data) SELECT ?, 1, ?, ?, ? WHERE ? IS NOT NULL" +
		" ON CONFLICT (id) DO NOTHING"

	sqlUpdate = "UPDATE {table} SET version = version + 1, expires = max(expires, ?), username = ?, data = ?" +
		" WHERE id = ? AND version = ? AND expires > ?"
	sqlShorten = "UPDATE {table} SET version = version + 1, expires = ?, username = ?, data = ?" +
		" WHERE id = ? AND version = ? AND expires > ?"

	sqlTouch         = "UPDATE {table} SET expires = ? WHERE id = ? AND expires < ? AND expires > ?"
	sqlDelete        = "DELETE FROM {table} WHERE id = ?"
	sqlDeleteVersion = "DELETE FROM {table} WHERE id = ? AND version = ? AND expires > ?"

	sqlSweep  = "DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} WHERE expires <= ? ORDER BY expires LIMIT ?)"
	sqlByUser = "SELECT id, version, expires, username, substr(data, 1, 512) FROM {table} WHERE username = ? AND expires > ?"

	// The newest, by the index on id from its end; and the newest of a range of
	// users, sorted. Here the limit is last.
	sqlList = "SELECT id, version, expires, username, substr(data, 1, 512) FROM {table}" +
		" WHERE +expires > ? ORDER BY id DESC LIMIT ?"
	sqlListPrefix = "SELECT id, version, expires, username, substr(data, 1, 512) FROM {table}" +
		" WHERE username >= ? AND username < ? AND +expires > ? ORDER BY id DESC LIMIT ?"

	// Which of the records named are not there in that version? {known} are their
	// numbers and versions, (0,7),(1,3) and so on, and the first parameter their
	// IDs, 16 bytes each: to bind some hundred parameters costs more.
	sqlChanged = "SELECT column1 FROM (VALUES {known}) WHERE NOT EXISTS (SELECT 1 FROM {table}" +
		" WHERE id = substr(?, column1 * 16 + 1, 16) AND version = column2 AND expires > ?)"

	sqlCount = "SELECT count(*) FROM {table} WHERE expires > ?"
)

// statements are the prepared statements.
type statements struct {
	load, exists, byUser, list, listPrefix, count                *sql.Stmt
	create, update, shorten, touch, delete, deleteVersion, sweep *sql.Stmt

	changed string // its text is another each time
}

// prepare prepares them all. After an error, close those that were.
func (s *statements) prepare(ctx context.Context, store *Store, table string) error {
	s.changed = strings.ReplaceAll(sqlChanged, "{table}", `"`+table+`"`)
	for _, p := range []struct {
		stmt  **sql.Stmt
		db    *sql.DB
		query string
	}{
		{&s.load, store.read, sqlLoad}, {&s.exists, store.read, sqlExists},
		{&s.byUser, store.read, sqlByUser}, {&s.list, store.read, sqlList}, {&s.listPrefix, store.read, sqlListPrefix}, {&s.count, store.read, sqlCount},
		{&s.create, store.write, sqlCreate}, {&s.update, store.write, sqlUpdate}, {&s.shorten, store.write, sqlShorten},
		{&s.touch, store.write, sqlTouch}, {&s.delete, store.write, sqlDelete},
		{&s.deleteVersion, store.write, sqlDeleteVersion}, {&s.sweep, store.write, sqlSweep},
	} {
		stmt, err := p.db.PrepareContext(ctx, strings.ReplaceAll(p.query, "{table}", `"`+table+`"`))
		if err != nil {
			return err
		}
		*p.stmt = stmt
	}
	return nil
}

func (s *statements) close() error {
	var errs []error
	for _, stmt := range []*sql.Stmt{
		s.load, s.exists, s.byUser, s.list, s.listPrefix, s.count, s.create, s.update, s.shorten, s.touch, s.delete, s.deleteVersion, s.sweep,
	} {
		if stmt != nil {
			errs = append(errs, stmt.Close())
		}
	}
	return errors.Join(errs...)
}

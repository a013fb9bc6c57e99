package mysql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/internal/sqlcall"
)

// The server's errors that mean something to us.
const (
	errCheckRead      = 1020 // MariaDB: a row changed under our snapshot; rolled back
	errDiskFull       = 1021
	errNotPrepared    = 1047 // Galera: this node is in no cluster that has a majority
	errDuplicate      = 1062
	errSyntax         = 1064
	errTableFull      = 1114
	errRowTooBig      = 1118
	errDenied         = 1142 // the account, a statement on the table
	errColumnDenied   = 1143
	errPacketTooLarge = 1153
	errLockWait       = 1205
	errDeadlock       = 1213
	errReadOnly       = 1290 // or another option of the server
	errDataTooLong    = 1406
	errPreparedFull   = 1461 // max_prepared_stmt_count
	errReadOnlyTx     = 1792
	errReadOnlyMode   = 1836
	errKilled         = 1927 // MariaDB: this connection was killed
	errIdleClosed     = 4031 // MySQL: this connection was idle for too long
)

// tellable are the errors whose text the server makes of names and settings,
// not of what stood in a statement: it may be shown.
var tellable = map[uint16]bool{
	1040: true, 1203: true, 1226: true, // too many connections, of all or of this user
	errNotPrepared: true,
	1044:           true, 1045: true, errDenied: true, errColumnDenied: true, 1227: true, // access denied
	1049: true, 1146: true, 1054: true, 1176: true, // no such database, table, column, index
	1053: true, 1317: true, errKilled: true, errIdleClosed: true, // shutdown, killed
	1193: true, 1231: true, 1298: true, 1115: true, 1273: true, // a system variable of the DSN, a time zone, charset, collation
	errReadOnly: true, errReadOnlyTx: true, errReadOnlyMode: true,
	errTableFull: true, errDiskFull: true, 3: true, errPreparedFull: true,
	1698: true, 1820: true, 1862: true, // log-in and password rules
	errCheckRead: true, errLockWait: true, errDeadlock: true, errPacketTooLarge: true,
}

// isServer reports whether err is one of these, from the server.
func isServer(err error, numbers ...uint16) bool {
	server, ok := errors.AsType[*mysql.MySQLError](err)
	return ok && slices.Contains(numbers, server.Number)
}

// preparesNoMore reports whether a statement was not run because the server
// prepares no more of them.
func preparesNoMore(err error) bool { return isServer(err, errPreparedFull) }

// retryable says whether the same statement may succeed if it is run again.
func retryable(err error, rep repeat) sqlcall.Verdict {
	broken := sqlcall.No // the connection, in the middle of the statement
	if rep == again {
		broken = sqlcall.Unknown
	}
	if server, ok := errors.AsType[*mysql.MySQLError](err); ok {
		switch server.Number {
		case errDeadlock, errLockWait, errCheckRead, errNotPrepared:
			return sqlcall.Undone // it was rolled back, or not begun
		case errKilled, errIdleClosed:
			return broken
		}
		return sqlcall.No
	}
	if errors.Is(err, mysql.ErrInvalidConn) {
		return broken
	}
	return sqlcall.No
}

// failure turns an error of the driver into what callers of a store
// understand. No text in it comes from a statement's parameters.
func (s *Store) failure(op string, err error, took time.Duration) error {
	if server, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return serverFailure(op, server)
	}
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return backend.ErrNotFound
	case errors.Is(err, sqlcall.ErrBusy):
		return fmt.Errorf("mysql: %s: %w for %v (%d of them)", op, err, took.Round(time.Millisecond), maxConns)
	case errors.Is(err, mysql.ErrInvalidConn):
		return fmt.Errorf("mysql: %s: no answer, connection lost after %v: %w", op, took.Round(time.Millisecond), err)
	case errors.Is(err, driver.ErrBadConn):
		return fmt.Errorf("mysql: %s: %s: %w", op, s.whyBad(), err)
	case errors.Is(err, mysql.ErrPktTooLarge):
		return fmt.Errorf("mysql: %s: %w: %w", op, backend.ErrTooLarge, err)
	case strings.HasSuffix(err.Error(), " is closed"): // "sql: database is closed", "sql: statement is closed"
		return fmt.Errorf("mysql: %s: %w", op, backend.ErrClosed)
	}
	return fmt.Errorf("mysql: %s: %w", op, err)
}

// serverFailure is failure for an error that the server sent. Its text is
// dropped unless it is known to hold no value.
func serverFailure(op string, err *mysql.MySQLError) error {
	told := &mysql.MySQLError{Number: err.Number, SQLState: err.SQLState, Message: "(text withheld, it may hold values)"}
	if tellable[err.Number] {
		told.Message = err.Message
	}
	switch err.Number {
	case errDuplicate:
		return backend.ErrExists
	case errPacketTooLarge, errDataTooLong, errRowTooBig:
		return fmt.Errorf("mysql: %s: %w: %w", op, backend.ErrTooLarge, told)
	}
	return fmt.Errorf("mysql: %s: %w", op, told)
}

// whyBad says why database/sql gave up on its connections. With
// rejectReadOnly, that is all that a server which has become read only leaves
// to see, so it is asked.
func (s *Store) whyBad() string {
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	var readOnly bool
	if err := s.db.GetContext(ctx, &readOnly, "SELECT @@global.read_only"); err == nil && readOnly {
		return "the server is read only (its connections are dropped, to find a new primary)"
	}
	return "no usable connection"
}

package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/internal/sqlcall"
)

// The server's errors that mean something to us, by SQLSTATE.
const (
	stateReadOnly      = "25006" // a standby, or default_transaction_read_only
	stateShutdown      = "57P01" // also pg_terminate_backend
	stateCrash         = "57P02"
	stateStarting      = "57P03"
	stateIdle          = "57P05" // idle_session_timeout
	stateSerialization = "40001"
	stateDeadlock      = "40P01"
	stateLockTimeout   = "55P03"
	stateCancelled     = "57014"
	statePreparedTwice = "42P05"
	stateNotPrepared   = "26000"
	stateProtocol      = "08P01" // a statement of the same, empty name, but another
	stateNoTable       = "42P01"
	stateNoRight       = "42501"

	classConstraint = "23"
)

// tellable are the classes of errors, and single ones, whose text the server
// makes of names and settings, not of what stood in a statement: it may be
// shown.
var tellable = []string{
	"08", "25", "26", "28", "3D", "3F", "40", "53", "55", "57", "58", "F0", "XX",
	"42501", "42P01", "42P05", "42703", "42704", "42883",
}

// demoted reports whether the server says that it is not to be used any more:
// as it became a standby, or as it goes down or comes up.
func demoted(err error) bool {
	switch sqlState(err) {
	case stateReadOnly, stateShutdown, stateCrash, stateStarting:
		return true
	}
	return false
}

// retryable says whether the same statement may succeed if it is run again.
func retryable(err error, rep repeat) sqlcall.Verdict {
	switch sqlState(err) {
	case stateSerialization, stateDeadlock, stateLockTimeout, stateReadOnly:
		return sqlcall.Undone // the statement was rolled back
	case stateIdle:
		return sqlcall.Undone // the server had closed the connection before the statement came
	case stateShutdown, stateCrash:
		// The statement is rolled back, unless the server was waiting for
		// its standby to confirm it.
	case "":
		if pgconn.SafeToRetry(err) || errors.Is(err, driver.ErrBadConn) {
			return sqlcall.Undone
		}
		if _, ok := errors.AsType[unconnected](err); ok || !lost(err) {
			return sqlcall.No
		}
	default:
		return sqlcall.No
	}
	if rep == again {
		return sqlcall.Unknown
	}
	return sqlcall.No
}

// lost reports whether err is that of a connection that broke. One on which
// nothing came in time is none: the next would be as slow.
func lost(err error) bool {
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return false
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, pgconn.ErrConnClosed)
}

// failure turns an error of the driver into what callers of a store
// understand. No text in it comes from a statement's parameters.
func (s *Store) failure(ctx context.Context, op string, err error, took time.Duration) error {
	if errors.Is(err, sql.ErrNoRows) { // and so pgx.ErrNoRows
		return backend.ErrNotFound
	}
	if ctxErr := ctx.Err(); ctxErr != nil {
		return fmt.Errorf("postgres: %s: %w", op, ctxErr)
	}
	if state := sqlState(err); state != "" {
		return serverFailure(op, state, err)
	}
	switch {
	case errors.Is(err, sqlcall.ErrBusy):
		return fmt.Errorf("postgres: %s: %w for %v (%d of them)", op, err, took.Round(time.Millisecond), cap(s.slots))
	case err.Error() == "closed pool", strings.HasSuffix(err.Error(), "database is closed"): // of puddle, of database/sql
		return fmt.Errorf("postgres: %s: %w", op, backend.ErrClosed)
	case pgconn.Timeout(err), timedOut(err):
		return fmt.Errorf("postgres: %s: no response within %v: %w", op, took.Round(time.Millisecond), err)
	case lost(err):
		return fmt.Errorf("postgres: %s: connection lost after %v: %w", op, took.Round(time.Millisecond), err)
	}
	return fmt.Errorf("postgres: %s: %w", op, err)
}

func timedOut(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// A serverError is what the server said, without the parts of it that may hold
// values: detail, context, and a text that is not known to hold none.
type serverError struct{ state, text string }

func (e *serverError) Error() string { return e.text + " (SQLSTATE " + e.state + ")" }

// SQLState returns the five letters by which PostgreSQL's manual lists errors.
func (e *serverError) SQLState() string { return e.state }

// serverFailure is failure for an error that the server sent.
func serverFailure(op, state string, err error) error {
	told := &serverError{state, "(text withheld, it may hold values)"}
	for _, class := range tellable {
		if strings.HasPrefix(state, class) {
			told.text = message(err)
		}
	}
	if cure := cureFor(state, err); cure != "" {
		return fmt.Errorf("postgres: %s: %w: %s", op, told, cure)
	}
	return fmt.Errorf("postgres: %s: %w", op, told)
}

// message returns the server's text, or for another driver than pgx that of
// its error.
func message(err error) string {
	if server, ok := errors.AsType[*pgconn.PgError](err); ok {
		return server.Message
	}
	return err.Error()
}

const pooler = "a pooler in transaction mode gives each transaction another connection: " +
	"add default_query_exec_mode=cache_describe to the connection string (or exec, or simple_protocol)"

// cureFor says what to do about an error, "" if its text has to do.
func cureFor(state string, err error) string {
	if server, ok := errors.AsType[*pgconn.PgError](err); state == stateProtocol && (!ok || server.SeverityUnlocalized != "ERROR") {
		// Of a pooler itself: PgBouncer has this state for whatever ends a
		// connection, a wrong password or a server that is down, say.
		return ""
	}
	switch {
	case state == stateNoRight && strings.Contains(message(err), " schema "):
		return "the account needs USAGE on the schema"
	case state == stateNoRight && strings.Contains(message(err), "row-level security"):
		return "disable row level security on the table, or have its policies pass every row to the account"
	case strings.HasPrefix(state, classConstraint):
		return "the table has a column without a default, an index or a constraint that postgres.Schema does not have"
	}
	return cures[state]
}

// cures are what to do about some errors.
var cures = map[string]string{
	statePreparedTwice: pooler,
	stateNotPrepared:   pooler,
	stateProtocol:      pooler,
	stateReadOnly: "the server is a standby, or its account has default_transaction_read_only; connect to the primary, " +
		"or name all hosts with target_session_attrs=read-write",
	stateNoTable: "the table went away; create it with the statements of postgres.Schema",
	stateNoRight: "the account needs SELECT, INSERT, UPDATE and DELETE on the table",
}

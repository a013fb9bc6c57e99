package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/chisession/session/backend"
)

// busyWait is how long a call waits for the writer, ours and those of other
// processes together.
const busyWait = 2 * time.Second

// SQLite's results that mean something to us; the low byte of an extended one.
const (
	resultBusy   = 5
	resultLocked = 6
	resultTooBig = 18

	// Processes that switch a new file to WAL at once get in each other's way:
	// the journal was removed by another (SQLITE_IOERR_DELETE_NOENT), or the
	// lock to read was lost to one (SQLITE_IOERR_RDLOCK). Nothing was written.
	extendedJournalGone = 10 | 23<<8
	extendedLockLost    = 10 | 9<<8

	// The file can be written to and its directory cannot (SQLITE_READONLY_DIRECTORY).
	extendedDirectory = 8 | 6<<8
)

var errBusy = errors.New("another one writes (database is locked)")

// reading runs f, which only reads. In WAL mode it waits for nobody; all but
// while the last connection closes, or another recovers the file.
func (s *Store) reading(ctx context.Context, op string, f func() error) error {
	if s.closed.Load() {
		return backend.ErrClosed
	}
	return s.failure(ctx, op, untilFree(ctx, time.Now().Add(s.patience), f))
}

// writing runs f, which is one statement that writes, when it is our turn. A
// statement of its own takes the lock to write before it reads anything, as
// BEGIN IMMEDIATE does, so it never has to give up half-way.
func (s *Store) writing(ctx context.Context, op string, f func() error) error {
	if s.closed.Load() {
		return backend.ErrClosed
	}
	until := time.Now().Add(s.patience)
	timer := time.NewTimer(s.patience)
	defer timer.Stop()
	select {
	case s.writer <- struct{}{}:
	case <-timer.C:
		return s.failure(ctx, op, errBusy)
	case <-ctx.Done():
		return s.failure(ctx, op, ctx.Err())
	}
	defer func() { <-s.writer }()
	return s.failure(ctx, op, untilFree(ctx, until, f))
}

// untilFree runs f again as long as another process writes. What met a writer
// has done nothing.
func untilFree(ctx context.Context, until time.Time, f func() error) error {
	wait := 200 * time.Microsecond
	for {
		err := f()
		if err == nil || !busy(err) {
			return err
		}
		if time.Now().After(until) {
			return errBusy
		}
		timer := time.NewTimer(wait/2 + rand.N(wait))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		wait = min(2*wait, 10*time.Millisecond)
	}
}

// extended returns SQLite's extended result code of an error of modernc's
// driver, or -1.
func extended(err error) int {
	var coded interface{ Code() int }
	if errors.As(err, &coded) {
		return coded.Code()
	}
	return -1
}

// result returns SQLite's result code of an error of modernc's driver, or -1.
func result(err error) int {
	if code := extended(err); code >= 0 {
		return code & 0xff
	}
	return -1
}

// busy reports whether err says that another connection is in the way; by its
// text for other drivers.
func busy(err error) bool {
	switch extended(err) {
	case extendedJournalGone, extendedLockLost:
		return true
	}
	switch result(err) {
	case resultBusy, resultLocked:
		return true
	case -1:
		text := err.Error()
		return strings.Contains(text, "database is locked") || strings.Contains(text, "database table is locked")
	}
	return false
}

// failure turns an error of the driver into what callers of a store
// understand. SQLite's texts name tables and columns, never values.
func (s *Store) failure(ctx context.Context, op string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return backend.ErrNotFound
	case ctx.Err() != nil:
		return fmt.Errorf("sqlite: %s: %w", op, ctx.Err())
	case result(err) == resultTooBig:
		return fmt.Errorf("sqlite: %s: %w: %w", op, backend.ErrTooLarge, err)
	case s.closed.Load() || strings.HasSuffix(err.Error(), " is closed"): // "sql: database is closed", "sql: statement is closed"
		return fmt.Errorf("sqlite: %s: %w", op, backend.ErrClosed)
	case extended(err) == extendedDirectory:
		return fmt.Errorf("sqlite: %s: %w: the directory must be writable, too: SQLite keeps two files beside the database", op, err)
	case errors.Is(err, errBusy):
		return fmt.Errorf("sqlite: %s: %w for %v", op, err, s.patience)
	}
	return fmt.Errorf("sqlite: %s: %w", op, err)
}

package mysql

import (
	"context"
	"time"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/internal/sqlcall"
)

// repeat says what may be done about a connection that broke in the middle of
// a statement.
type repeat = sqlcall.Repeat

const once, again = sqlcall.Once, sqlcall.Again

// call runs f, which makes one statement, and runs it again where that helps
// and is right. ctx goes to the driver as it is: one that can be cancelled
// costs a goroutine's turn on every statement, one that cannot does not.
func (s *Store) call(ctx context.Context, op string, rep repeat, f func() error) error {
	if s.closed.Load() {
		return backend.ErrClosed
	}
	start := time.Now()
	if err := s.slots.Enter(ctx); err != nil {
		return s.failure(op, err, time.Since(start))
	}
	defer s.slots.Leave()
	err := sqlcall.Do(ctx, start, func(bool) error { return s.try(f) }, func(err error) (sqlcall.Verdict, int) {
		return s.verdict(err, rep), retries(err)
	})
	if err == nil {
		return nil
	}
	if ctxErr := ctx.Err(); ctxErr != nil {
		err = ctxErr
	}
	return s.failure(op, err, time.Since(start))
}

// verdict is retryable, where a host that is read only has another to its side.
func (s *Store) verdict(err error, rep repeat) sqlcall.Verdict {
	if s.hosts.several() && isServer(err, errReadOnly, errReadOnlyTx, errReadOnlyMode) {
		return sqlcall.Undone
	}
	return retryable(err, rep)
}

// retries is how often a statement may be run again after err.
func retries(err error) int {
	if isServer(err, errDeadlock) || isServer(err, errCheckRead) {
		return sqlcall.Contests
	}
	return sqlcall.Retries
}

// try runs f once. After a failure of the host's own the next try is on another.
func (s *Store) try(f func() error) error {
	began := time.Now()
	err := f()
	if err != nil && s.hosts.several() && useless(err, time.Since(began)) {
		s.hosts.leave(began)
	}
	return err
}

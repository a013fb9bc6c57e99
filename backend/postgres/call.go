package postgres

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
// and is right. unsure tells f whether an earlier try may have done the work.
// ctx goes to the driver as it is: one that can be cancelled costs a goroutine
// for every statement, one that cannot does not.
func (s *Store) call(ctx context.Context, op string, rep repeat, f func(unsure bool) error) error {
	if s.closed.Load() {
		return backend.ErrClosed
	}
	start := time.Now()
	if err := s.slots.Enter(ctx); err != nil {
		return s.failure(ctx, op, err, time.Since(start))
	}
	defer s.slots.Leave()
	err := sqlcall.Do(ctx, start, f, func(err error) (sqlcall.Verdict, int) { return retryable(err, rep), retries(err) })
	if err != nil {
		return s.failure(ctx, op, err, time.Since(start))
	}
	return nil
}

// retries is how often a statement may be run again after err. Where an account or
// a database has set the isolation to serializable or repeatable read, of several
// updates of a row all but the first are undone, each time.
func retries(err error) int {
	switch sqlState(err) {
	case stateSerialization, stateDeadlock:
		return sqlcall.Contests
	}
	return sqlcall.Retries
}

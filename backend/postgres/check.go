package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/chisession/session/backend"
)

// probeLife is how long the record of Check lives, should it not come to
// removing it.
const probeLife = 10 * time.Second

const meddled = "a trigger, rule or row security policy changes what is stored"

// checkConnection finds out that what a connection is given arrives, in
// whichever form the pool sends it, and what the server promises.
func (s *Store) checkConnection(ctx context.Context) error {
	sent := make([]byte, 256)
	for i := range sent {
		sent[i] = byte(i)
	}
	at := time.Date(2033, 2, 1, 4, 5, 6, 789_012_000, time.UTC)
	var got []byte
	var gotAt time.Time
	var standby bool
	const query = `SELECT $1::bytea, $2::timestamptz, pg_is_in_recovery(), current_setting('synchronous_commit'),
		current_setting('synchronous_standby_names'), current_setting('fsync')`
	err := s.call(ctx, "check the connection", again, func(bool) error {
		return s.db.row(ctx, query, []any{sent, at}, &got, &gotAt, &standby,
			&s.promise.SynchronousCommit, &s.promise.StandbyNames, &s.promise.Fsync)
	})
	var mode pgx.QueryExecMode
	if err == nil {
		err = s.call(ctx, "look for a pooler", again, func(bool) (err error) {
			s.promise.Pooled, mode, err = s.db.pooler(ctx)
			return err
		})
	}
	const cure = "set bytea_output=hex and datestyle=ISO in the connection string, or default_query_exec_mode=cache_statement or cache_describe"
	switch {
	case isScan(err):
		return fmt.Errorf("%w: %s", err, cure)
	case err != nil:
		return err
	case !bytes.Equal(got, sent) || !gotAt.Equal(at):
		return refused("connections change what is sent: %s", cure)
	case s.promise.Pooled && mode == pgx.QueryExecModeDescribeExec:
		return refused("behind a pooler, default_query_exec_mode=describe_exec runs other callers' statements: use cache_describe, exec or simple_protocol")
	case standby:
		return refused("the server is a standby, which takes no writes: connect to the primary, or name all hosts with target_session_attrs=read-write")
	}
	return nil
}

// isScan reports whether err is about a value that came in a form that the
// driver does not understand.
func isScan(err error) bool {
	_, ok := errors.AsType[pgx.ScanArgError](err)
	return ok
}

// Check proves that this Store may do all that it will have to: it stores,
// loads, changes, finds and removes a record of its own, with a name that nobody
// else has, for seconds at most. New and Open do it: without the right to
// delete, say, everybody could log in, and nobody be logged out. It costs about
// ten round trips.
func (s *Store) Check(ctx context.Context) error {
	rec := backend.Record{ID: uuid.New(), Version: 1, Data: []byte("probe")}
	rec.User = "probe " + rec.ID.String()
	var now time.Time // by the server's clock, which records expire by
	err := s.db.row(ctx, "SELECT clock_timestamp()", nil, &now)
	if err == nil {
		rec.Expires = now.Add(time.Hour).Truncate(time.Millisecond)
		err = s.prove(ctx, rec, now)
	}
	if err != nil {
		_ = s.Delete(ctx, rec.ID) // should it be there; the error before is the one to tell
		// Nobody else has this record: what is not as it was left was changed on
		// the way.
		if errors.Is(err, backend.ErrNotFound) || errors.Is(err, backend.ErrExists) || errors.Is(err, backend.ErrConflict) {
			return fmt.Errorf("postgres: check: %w: %s", err, meddled)
		}
		return fmt.Errorf("postgres: check: %w", err)
	}
	return nil
}

func (s *Store) prove(ctx context.Context, rec backend.Record, now time.Time) error {
	if err := s.Create(ctx, rec); err != nil {
		return err
	}
	rec.Expires, rec.Shorten = now.Add(probeLife).Truncate(time.Millisecond), true
	if err := s.Update(ctx, rec); err != nil {
		return err
	}
	rec.Version, rec.Shorten = 2, false
	if err := s.Touch(ctx, rec.ID, rec.Expires.Add(time.Second)); err != nil {
		return err
	}
	if err := s.Update(ctx, rec); err != nil {
		return err
	}
	got, err := s.Load(ctx, rec.ID)
	if err != nil {
		return err
	}
	found, err := s.ByUser(ctx, rec.User)
	if err != nil {
		return err
	}
	if got.Version != 3 || !bytes.Equal(got.Data, rec.Data) || len(found) != 1 {
		return fmt.Errorf("a record came back as version %d with %d bytes, and %d times by its user: %s",
			got.Version, len(got.Data), len(found), meddled)
	}
	if _, err := s.Count(ctx); err != nil {
		return err
	}
	if _, err := s.Sweep(ctx, 1); err != nil {
		return err
	}
	if err := s.DeleteVersion(ctx, rec.ID, 3); err != nil {
		return err
	}
	return s.Delete(ctx, rec.ID)
}

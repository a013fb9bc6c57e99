package postgres

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// TestSweepWhenABucketEnds: a sweep makes two statements, and each asks the
// server what time it is. What expired before the first of them is swept, even
// if the five minutes of a bucket are over between the two.
func TestSweepWhenABucketEnds(t *testing.T) {
	db := database(t)
	conf, err := pgxpool.ParseConfig(server.DSN(db, "search_path=clock,pg_catalog,public"))
	if err != nil {
		t.Fatal(err)
	}
	clock := &laterAfterQuery{what: "DELETE"}
	conf.ConnConfig.Tracer = clock
	pool, err := pgxpool.NewWithConfig(background, conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)

	// The server's own now() comes after one in a schema that is searched
	// before its catalogue.
	bucketEnds := time.Now().Truncate(bucketSeconds * time.Second).UTC()
	for _, statement := range []string{
		"CREATE SCHEMA clock",
		"CREATE TABLE clock.hand (at timestamptz)",
		"INSERT INTO clock.hand VALUES ('" + bucketEnds.Add(-time.Millisecond).Format(time.RFC3339Nano) + "')",
		"CREATE FUNCTION clock.now() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT at FROM clock.hand'",
	} {
		if _, err := pool.Exec(background, statement); err != nil {
			t.Fatal(err)
		}
	}
	s, err := New(pool, Options{})
	if err != nil {
		t.Fatal(err)
	}
	expired := record()
	expired.Expires = bucketEnds.Add(-time.Second)
	create(t, s, expired)

	clock.advance = func() {
		if _, err := pool.Exec(background, "UPDATE clock.hand SET at = at + interval '2 milliseconds'"); err != nil {
			t.Error(err)
		}
	}
	if n, err := s.Sweep(background, 10); err != nil || n != 1 {
		t.Errorf("Sweep while a bucket ends = %d, %v; want 1", n, err)
	}
}

// laterAfterQuery calls advance once, after the first query that begins with
// what.
type laterAfterQuery struct {
	what    string
	advance func()
	once    sync.Once
}

func (l *laterAfterQuery) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	if l.advance == nil || !strings.HasPrefix(q.SQL, l.what) {
		return ctx
	}
	return context.WithValue(ctx, l, true)
}

func (l *laterAfterQuery) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryEndData) {
	if ctx.Value(l) != nil {
		l.once.Do(l.advance)
	}
}

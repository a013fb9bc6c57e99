package postgres

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/redis"
	"github.com/chisession/session/internal/sweepload"
	"github.com/chisession/session/internal/testserver"
)

// full reports whether the figures are to be measured in full, by make figures:
// otherwise a hundredth of the work shows that they can be, and what depends on
// the machine is not judged.
func full() bool { return os.Getenv("FIGURES") != "" }

// scaled returns n, or a hundredth of it.
func scaled(n int) int {
	if full() {
		return n
	}
	return n / 100
}

// besideOthers has a test run side by side with others, unless it is to measure.
func besideOthers(t *testing.T) {
	if !full() {
		t.Parallel()
	}
}

// text is the data of a session of an ordinary size.
var text = slices.Repeat([]byte{0xa5}, 300)

// contestTime is how long a contest goes on at the most, if it has had enoughTurns.
const (
	contestTime = 45 * time.Second
	enoughTurns = 20
)

// A contest has two sides do the same, in turns, so that both meet the same
// other business of the machine.
type contest struct {
	callers, turns, calls int
	sides                 [2]func(caller int) error // ours, and pgx's
}

// run returns how long each side's calls took, turn by turn.
func (c contest) run() (took [2][]time.Duration, err error) {
	end := time.Now().Add(contestTime)
	for turn := range c.turns {
		if turn >= enoughTurns && time.Now().After(end) {
			break
		}
		for i := range c.sides {
			side := (i + turn) % 2
			began := time.Now()
			if err := c.turn(c.sides[side]); err != nil {
				return took, err
			}
			took[side] = append(took[side], time.Since(began)/time.Duration(c.calls))
		}
	}
	return took, nil
}

// median returns the median of the ratios of ours to pgx's, each of a turn and
// the one next to it, and of our times.
func median(took [2][]time.Duration) (ratio float64, ours time.Duration) {
	var ratios []float64
	for i := range took[0] {
		ratios = append(ratios, float64(took[0][i])/float64(took[1][i]))
	}
	slices.Sort(ratios)
	slices.Sort(took[0])
	return ratios[len(ratios)/2], sweepload.At(took[0], 0.5)
}

func (c contest) turn(call func(caller int) error) error {
	errs := make(chan error, c.callers)
	var wg sync.WaitGroup
	for caller := range c.callers {
		wg.Go(func() {
			for range c.calls {
				if err := call(caller); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	return <-errs
}

// TestFiguresBesidePgx sets load and update against the same bytes through a
// bare pool of pgx, by primary key and without a condition: they take at most 1.10
// times as long, at the median of the turns.
func TestFiguresBesidePgx(t *testing.T) {
	besideOthers(t)
	db := database(t)
	s := openIn(t, db)
	bare := pool(t, server.DSN(db, fmt.Sprint("pool_max_conns=", maxConns)))
	for _, callers := range []int{1, 16} {
		records := make([]backend.Record, 2*callers) // the second half is pgx's
		for i := range records {
			records[i] = record()
			records[i].Data = text
			records[i] = create(t, s, records[i])
		}
		versions := make([]uint64, callers)
		besidePgx(t, "load", callers,
			func(i int) error { _, err := s.Load(background, records[i].ID); return err },
			func(i int) error { return bareLoad(bare, records[callers+i].ID) })
		besidePgx(t, "update", callers,
			func(i int) error {
				next := records[i]
				versions[i]++
				next.Version = versions[i]
				return s.Update(background, next)
			},
			func(i int) error { return bareUpdate(bare, records[callers+i]) })
	}
}

func besidePgx(t *testing.T, name string, callers int, ours, pgx func(caller int) error) {
	t.Run(fmt.Sprint(name, "/", callers), func(t *testing.T) {
		c := contest{callers: callers, turns: scaled(400), calls: max(200/callers, 50), sides: [2]func(int) error{ours, pgx}}
		took, err := c.run()
		if err != nil {
			t.Fatal(err)
		}
		ratio, each := median(took)
		t.Logf("%s, %d callers: %v a call, %.3f times that of pgx", name, callers, each, ratio)
		if full() && ratio > 1.10 {
			t.Errorf("%s with %d callers takes %.3f times as long as pgx, want at most 1.10", name, callers, ratio)
		}
	})
}

func bareLoad(p *pgxpool.Pool, id uuid.UUID) error {
	var version int64
	var expires time.Time
	var user, data []byte
	return p.QueryRow(background, "SELECT version, expires, username, data FROM sessions WHERE id = $1", key(id)).
		Scan(&version, &expires, &user, &data)
}

func bareUpdate(p *pgxpool.Pool, rec backend.Record) error {
	at, bucket := instant(rec.Expires)
	_, err := p.Exec(background, "UPDATE sessions SET version = version + 1, expires = $2, bucket = $3, username = $4, data = $5 WHERE id = $1",
		key(rec.ID), at, bucket, userBytes(rec.User), rec.Data)
	return err
}

// TestFiguresBesideRedis tells those who outgrow one primary what is next: the
// same calls on Redis, which besides can be spread over several servers. Both keep
// what they acknowledge, PostgreSQL at each commit, Redis each second.
func TestFiguresBesideRedis(t *testing.T) {
	besideOthers(t)
	near, err := testserver.StartRedis(testserver.RedisOptions{Args: []string{"--appendonly", "yes"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := near.Stop(); err != nil {
			t.Error(err)
		}
	})
	other, err := redis.Open(near.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	const callers = 16
	stores := [2]backend.Store{open(t), other}
	var records [2][callers]backend.Record
	for i, s := range stores {
		for caller := range callers {
			rec := record()
			rec.Data = text
			records[i][caller] = create(t, s, rec)
		}
	}
	load := func(i int) func(int) error {
		return func(caller int) error { _, err := stores[i].Load(background, records[i][caller].ID); return err }
	}
	update := func(i int) func(int) error {
		return func(caller int) error {
			rec := &records[i][caller]
			err := stores[i].Update(background, *rec)
			rec.Version++
			return err
		}
	}
	for name, sides := range map[string][2]func(int) error{"loads": {load(0), load(1)}, "updates": {update(0), update(1)}} {
		took, err := contest{callers: callers, turns: scaled(200), calls: 50, sides: sides}.run()
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(took[0])
		slices.Sort(took[1])
		perSecond := func(took []time.Duration) float64 { return callers / took[len(took)/2].Seconds() }
		t.Logf("%s a second, %d callers: PostgreSQL %.0f, Redis %.0f", name, callers, perSecond(took[0]), perSecond(took[1]))
	}
}

// hot returns the share of the updates of a table that were HOT, in per cent,
// once those who made them have disconnected: then the server has counted all.
func hot(t *testing.T, conn *pgx.Conn, table string) (share float64) {
	t.Helper()
	eventually(t, "the clients are gone", func() bool {
		var n int
		err := conn.QueryRow(background, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'session' AND datname = current_database()").Scan(&n)
		return err == nil && n == 0
	})
	if _, err := conn.Exec(background, "SELECT pg_stat_force_next_flush()"); err != nil { // of what conn did itself
		t.Fatal(err)
	}
	const query = "SELECT 100.0 * n_tup_hot_upd / n_tup_upd FROM pg_stat_user_tables WHERE relname = $1"
	if err := conn.QueryRow(background, query, table).Scan(&share); err != nil {
		t.Fatal(err)
	}
	return share
}

// TestFiguresHOT: after 100,000 updates and touches of 5,000 sessions, at least
// nine of ten left the indexes alone.
func TestFiguresHOT(t *testing.T) {
	db := database(t)
	s := openIn(t, db)
	records := make([]backend.Record, scaled(5000))
	for i := range records {
		rec := record()
		rec.Data = text
		if i%2 == 0 {
			rec.User = fmt.Sprint("user", i)
		}
		records[i] = create(t, s, rec)
	}
	const callers = 8
	c := contest{callers: callers, turns: 1, calls: scaled(100_000) / callers, sides: [2]func(int) error{
		func(caller int) error {
			i := caller + callers*int(time.Now().UnixNano()/1000%int64(len(records)/callers))
			rec := &records[i]
			rec.Expires = time.Now().Add(time.Hour)
			if rec.Expires.UnixMicro()%2 == 0 {
				return s.Touch(background, rec.ID, rec.Expires)
			}
			err := s.Update(background, *rec)
			rec.Version++
			return err
		},
		func(int) error { return nil },
	}}
	if _, err := c.run(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	share := hot(t, admin(t, db), "sessions")
	t.Logf("%.1f %% of %d updates and touches are HOT", share, c.calls*callers)
	if share < 90 {
		t.Errorf("%.1f %% of the updates are HOT, want at least 90 %%", share)
	}
}

// fill stores sessions as they are in use, by the server: n of them, whose
// expiries are spread over an hour that begins at from.
func fill(t *testing.T, conn *pgx.Conn, table string, n int, from time.Time) {
	t.Helper()
	query := strings.NewReplacer("{table}", table, "{bucket}", "(floor(extract(epoch FROM at))::bigint / 300)::int").Replace(
		`INSERT INTO {table} (id, version, expires, bucket, username, data)
		SELECT gen_random_uuid(), 1, at, {bucket}, CASE WHEN i % 2 = 0 THEN convert_to('user' || i, 'UTF8') END, $3
		FROM (SELECT i, $2::timestamptz + i * interval '1 hour' / $1 AS at FROM generate_series(1, $1::int) AS i) AS s`)
	if _, err := conn.Exec(background, query, n, from, text); err != nil {
		t.Fatal(err)
	}
}

// TestFiguresSweep: 1,000,000 expired sessions are removed under the hands of
// those who make requests. Their p99 is at most twice that of quiet times, and a
// batch takes at most 5 ms.
func TestFiguresSweep(t *testing.T) {
	besideOthers(t)
	db := database(t)
	s := openIn(t, db)
	conn := admin(t, db)
	expired := scaled(1_000_000)
	fill(t, conn, "sessions", expired, time.Now().Add(-2*time.Hour))
	fill(t, conn, "sessions", scaled(100_000), time.Now().Add(time.Hour))
	if _, err := conn.Exec(background, "VACUUM ANALYZE sessions"); err != nil {
		t.Fatal(err)
	}
	live := make([]backend.Record, 4)
	for i := range live {
		live[i] = create(t, s, record())
	}
	got, err := sweepload.Measure(s, sweepBatch, live)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(got)
	if got.Removed != expired {
		t.Errorf("%d sessions were swept, want %d", got.Removed, expired)
	}
	if batch := sweepload.At(got.Batches, 0.5); full() && (got.Ratio() > 2 || batch > 5*time.Millisecond) {
		t.Errorf("p99 is %.2f times the quiet one, want at most 2; a batch takes %v, want at most 5 ms", got.Ratio(), batch)
	}
}

// TestFiguresSize: 1,000,000 sessions, and what their table and its indexes take
// after a day of updates, with the index on the bucket and, for comparison, with
// one on the expiry.
func TestFiguresSize(t *testing.T) {
	besideOthers(t)
	sessions := scaled(1_000_000)
	for _, indexed := range []string{"bucket", "expires"} {
		t.Run(indexed, func(t *testing.T) {
			db := database(t)
			s := openIn(t, db)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			conn := admin(t, db)
			if indexed != "bucket" {
				do(t, db, "DROP INDEX sessions_bucket; CREATE INDEX sessions_expires ON sessions (expires)")
			}
			fill(t, conn, "sessions", sessions, time.Now().Add(time.Hour))
			new := perSession(t, conn, sessions)
			day(t, conn, sessions)
			t.Logf("index on %s: bytes a session new %v, after a day %v; %.1f %% of the updates are HOT", indexed, new, perSession(t, conn, sessions), hot(t, conn, "sessions"))
		})
	}
}

// A size is what a session takes, in bytes.
type size struct{ table, primary, expiry, username int64 }

func (s size) String() string {
	return fmt.Sprintf("%d (table %d, indexes: id %d, expiry %d, username %d)", s.table+s.primary+s.expiry+s.username, s.table, s.primary, s.expiry, s.username)
}

func perSession(t *testing.T, conn *pgx.Conn, sessions int) (each size) {
	t.Helper()
	const query = `SELECT pg_table_size('sessions') / $1, pg_relation_size('sessions_pkey') / $1,
		pg_relation_size(coalesce(to_regclass('sessions_bucket'), to_regclass('sessions_expires'))) / $1,
		pg_relation_size('sessions_username') / $1`
	if err := conn.QueryRow(background, query, int64(sessions)).Scan(&each.table, &each.primary, &each.expiry, &each.username); err != nil {
		t.Fatal(err)
	}
	return each
}

// day simulates a day: in each hour a twenty-fourth of the sessions, by chance, is
// visited, and used ten times at half a minute's distance. Half of the uses are
// touches, half change the data as well. Autovacuum goes on beside it as the table
// has it set.
func day(t *testing.T, conn *pgx.Conn, sessions int) {
	t.Helper()
	visits := max(sessions/24, 1)
	const visitors = `CREATE TEMP TABLE IF NOT EXISTS visitors (id uuid PRIMARY KEY); TRUNCATE visitors;
		INSERT INTO visitors SELECT id FROM sessions ORDER BY random() LIMIT %d; ANALYZE visitors`
	const use = `UPDATE sessions SET expires = $1, bucket = floor(extract(epoch FROM $1::timestamptz))::bigint / 300, version = version + $2,
			data = CASE WHEN $2 = 0 THEN data ELSE decode(md5(id::text || $1), 'hex') || substring(data FROM 17) END
		WHERE id IN (SELECT id FROM visitors)`
	at := time.Now().Add(2 * time.Hour)
	for range 24 {
		if _, err := conn.Exec(background, fmt.Sprintf(visitors, visits)); err != nil {
			t.Fatal(err)
		}
		for i := range 10 {
			if _, err := conn.Exec(background, use, at.Add(time.Duration(i)*30*time.Second), i%2); err != nil {
				t.Fatal(err)
			}
		}
		at = at.Add(time.Hour)
	}
}

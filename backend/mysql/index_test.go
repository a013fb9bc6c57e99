//go:build servers

package mysql

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/chisession/session/backend"
)

// fill stores n records at once, on the server: half of them expired, one in
// two with one of 1000 users, and data of 300 bytes.
func fill(t testing.TB, db *sqlx.DB, n int) {
	t.Helper()
	_, err := db.Exec(fmt.Sprintf(`INSERT INTO sessions (id, version, expires, user, data)
		SELECT UNHEX(CONCAT(LPAD(HEX(1700000000000 + seq), 12, '0'), SUBSTR(MD5(seq), 1, 20))), 1,
			UTC_TIMESTAMP(6) + INTERVAL (CAST(seq AS SIGNED) - %d) SECOND, IF(seq %% 2, CONCAT('user', seq %% 1000), NULL), REPEAT('x', 300)
		FROM seq_1_to_%d`, n/2, n))
	if err != nil {
		t.Fatal(err)
	}
}

// TestExplain: every statement goes by an index, in an empty table and in a
// full one; those of requests look at one row.
func TestExplain(t *testing.T) {
	db := database(t)
	s := openIn(t, db)
	p := pool(t, db, "interpolateParams=true")
	one := create(t, s, record())
	table, _ := parseTable("sessions")
	id := one.ID[:]
	for _, n := range []int{0, 20000} {
		if n > 0 {
			fill(t, p, n)
			if _, err := p.Exec("ANALYZE TABLE sessions"); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range []struct {
			query string
			args  []any
			key   string
			rows  int64 // at most; 0: as many as there are
		}{
			{sqlLoadTexts, []any{id}, "PRIMARY", 1},
			{sqlLoadNumbers, []any{id}, "PRIMARY", 1},
			{sqlExists, []any{id}, "PRIMARY", 1},
			{sqlUpdate, []any{0, nil, []byte("x"), id, 1}, "PRIMARY", 1},
			{sqlShorten, []any{0, nil, []byte("x"), id, 1}, "PRIMARY", 1},
			{sqlTouch, []any{0, id, 0}, "PRIMARY", 1},
			{sqlDelete, []any{id}, "PRIMARY", 1},
			{sqlDeleteVersion, []any{id, 1}, "PRIMARY", 1},
			{sqlByUser, []any{[]byte("user7")}, "user", 100},
			{sqlSweep, []any{sweepBatch}, "expires", 0},
			{sqlCount, nil, "expires", 0},
		} {
			rows, err := p.Queryx("EXPLAIN "+expand(table, c.query), c.args...)
			if err != nil {
				t.Fatalf("EXPLAIN %s: %v", c.query, err)
			}
			for rows.Next() {
				plan := map[string]any{}
				if err := rows.MapScan(plan); err != nil {
					t.Fatal(err)
				}
				access, key, looks := text(plan["type"]), text(plan["key"]), int64(0)
				fmt.Sscan(text(plan["rows"]), &looks)
				if access == "ALL" || key != c.key || c.rows > 0 && looks > c.rows {
					t.Errorf("%d rows: %s\n  goes by type %s, key %s, %d rows; want key %s", n, c.query, access, key, looks, c.key)
				}
			}
			if err := rows.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func text(v any) string {
	if b, ok := v.([]byte); ok {
		return string(b)
	}
	return fmt.Sprint(v)
}

// TestSweepReadsWhatItDeletes counts at the server which rows a sweep
// touches: as many as it removes, not the table.
func TestSweepReadsWhatItDeletes(t *testing.T) {
	db := database(t)
	s := openIn(t, db)
	fill(t, pool(t, db), 20000)
	before := status(t, "Handler_read_rnd_next") + status(t, "Handler_read_next") + status(t, "Handler_read_prev")
	if n, err := s.Sweep(background, 700); err != nil || n != 700 {
		t.Fatalf("Sweep(700) = %d, %v; want 700", n, err)
	}
	read := status(t, "Handler_read_rnd_next") + status(t, "Handler_read_next") + status(t, "Handler_read_prev") - before
	if read > 5000 { // SHOW STATUS itself reads some hundred rows of its own
		t.Errorf("a sweep of 700 rows read %d of 20000", read)
	}
}

// TestSweepsTogether: four stores sweep while others touch. Nothing live goes,
// everything expired does, nobody gets an error.
func TestSweepsTogether(t *testing.T) {
	db := database(t)
	first := openIn(t, db)
	stores := []*Store{first, openIn(t, db), openIn(t, db), openIn(t, db)}
	const expired = 4000
	fill(t, pool(t, db), 2*expired)
	live := make([]backend.Record, 40)
	for i := range live {
		live[i] = record()
		live[i].Expires = time.Now().Add(5 * time.Minute)
		live[i] = create(t, first, live[i])
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	total := 0
	stop := make(chan struct{})
	for _, s := range stores {
		wg.Go(func() {
			for {
				n, err := s.Sweep(background, 300)
				if err != nil {
					t.Errorf("Sweep: %v", err)
					return
				}
				mu.Lock()
				total += n
				mu.Unlock()
				if n < 300 {
					return
				}
			}
		})
	}
	var touchers sync.WaitGroup
	for i := range live {
		touchers.Go(func() {
			for k := 1; ; k++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := stores[i%4].Touch(background, live[i].ID, live[i].Expires.Add(time.Duration(k)*time.Second)); err != nil {
					t.Errorf("Touch during a sweep: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	touchers.Wait()
	if total < expired {
		t.Errorf("four sweeps together removed %d, want at least %d", total, expired)
	}
	for _, rec := range live {
		load(t, first, rec.ID)
	}
}

func TestSweepLimits(t *testing.T) {
	db := database(t)
	s := openIn(t, db)
	fill(t, pool(t, db), 2*(2*sweepBatch+200)) // half of them expired
	for _, c := range []struct{ limit, want int }{{0, 0}, {-1, 0}, {1, 1}, {sweepBatch, sweepBatch}, {sweepBatch + 1, sweepBatch + 1}} {
		if n, err := s.Sweep(background, c.limit); err != nil || n != c.want {
			t.Errorf("Sweep(%d) = %d, %v; want %d", c.limit, n, err, c.want)
		}
	}
	if n, err := s.Sweep(background, 10000); err != nil || n < 100 || n > 300 {
		t.Errorf("the last Sweep = %d, %v; want the rest", n, err)
	}
}

func TestByUserOfNobody(t *testing.T) {
	s := open(t)
	create(t, s, record())
	for _, user := range []string{"", "nobody", strings.Repeat("x", 256), strings.Repeat("x", 1<<20)} {
		if got, err := s.ByUser(background, user); err != nil || len(got) != 0 {
			t.Errorf("ByUser of %d bytes = %d records, %v; want none", len(user), len(got), err)
		}
	}
}

// TestByUserReadsBeginnings: of large sessions no more than a list needs
// travels from the server.
func TestByUserReadsBeginnings(t *testing.T) {
	s := open(t)
	for range 20 {
		rec := record()
		rec.User, rec.Data = "ann", bytes.Repeat([]byte("0123456789abcdef"), 50_000)
		create(t, s, rec)
	}
	sent := func() (n int) {
		t.Helper()
		var name string
		if err := server.Admin().QueryRow("SHOW GLOBAL STATUS LIKE 'Bytes_sent'").Scan(&name, &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := sent()
	recs, err := s.ByUser(background, "ann")
	if got := sent() - before; got > 100_000 {
		t.Errorf("the server sent %d bytes for a list of 20 sessions of 800 KB, want less than 100 KB", got)
	}
	if err != nil || len(recs) != 20 {
		t.Fatalf("ByUser = %d records, %v; want 20", len(recs), err)
	}
	for _, rec := range recs {
		if len(rec.Data) != backend.HeadSize {
			t.Errorf("ByUser: %d bytes of data, want %d, as the statement has it", len(rec.Data), backend.HeadSize)
		}
	}
}

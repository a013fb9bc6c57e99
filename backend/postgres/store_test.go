package postgres

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/internal/testserver"
)

func TestRecordComesBackAsItWas(t *testing.T) {
	s := open(t)
	rec := record()
	rec.User = "alice"
	rec = create(t, s, rec)
	checkRecord(t, load(t, s, rec.ID), rec)

	rec.Data, rec.User, rec.Expires = []byte("more"), "bob ", rec.Expires.Add(time.Minute)
	if err := s.Update(background, rec); err != nil {
		t.Fatalf("Update: %v", err)
	}
	rec.Version = 2
	checkRecord(t, load(t, s, rec.ID), rec)
}

func checkRecord(t *testing.T, got, want backend.Record) {
	t.Helper()
	if got.ID != want.ID || got.Version != want.Version || got.User != want.User ||
		!got.Expires.Equal(want.Expires) || got.Expires.Location() != time.UTC || !bytes.Equal(got.Data, want.Data) {
		t.Errorf("Load = %+v expires %v, want %+v expires %v", got, got.Expires, want, want.Expires)
	}
}

// trips counts what a client asks on one connection: each Sync, or Query, has
// one response.
type trips struct {
	mu   sync.Mutex
	n    int
	left int // of the message that is being read
	head []byte
}

func (c *trips) see(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(b) > 0 {
		if c.left > 0 {
			skip := min(c.left, len(b))
			b, c.left = b[skip:], c.left-skip
			continue
		}
		c.head = append(c.head, b[0])
		b = b[1:]
		if len(c.head) == 5 {
			if c.head[0] == 'S' || c.head[0] == 'Q' {
				c.n++
			}
			c.left = int(c.head[1])<<24 + int(c.head[2])<<16 + int(c.head[3])<<8 + int(c.head[4]) - 4
			c.head = c.head[:0]
		}
	}
}

func (c *trips) take() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.n
	c.n = 0
	return n
}

// TestOneRoundTrip counts on the wire what each operation asks.
func TestOneRoundTrip(t *testing.T) {
	for _, mode := range []string{"cache_statement", "cache_describe", "exec", "simple_protocol"} {
		t.Run(mode, func(t *testing.T) { oneRoundTrip(t, mode) })
	}
}

func oneRoundTrip(t *testing.T, mode string) {
	link := startLink(t)
	s := openAt(t, server.DSNAt(link.Addr(), database(t), "pool_max_conns=1", "pool_max_conn_lifetime=1h", "default_query_exec_mode="+mode))
	count := new(trips)
	link.Watch(count.see)
	rec, gone := record(), record()
	later := rec.Expires
	var version uint64
	steps := []struct {
		name  string
		trips int
		want  error
		do    func() error
	}{
		{"create", 1, nil, func() error { rec = record(); later = rec.Expires; return s.Create(background, rec) }},
		{"create twice", 1, backend.ErrExists, func() error { return s.Create(background, rec) }},
		{"load", 1, nil, func() error { _, err := s.Load(background, rec.ID); return err }},
		{"update", 1, nil, func() error { rec.Version = 1; version = 2; return s.Update(background, rec) }},
		{"shorten", 1, nil, func() error {
			short := rec
			short.Version, short.Shorten = version, true
			version++
			return s.Update(background, short)
		}},
		{"touch", 1, nil, func() error { later = later.Add(time.Minute); return s.Touch(background, rec.ID, later) }},
		{"touch again", 2, nil, func() error { return s.Touch(background, rec.ID, later) }},
		{"touch missing", 2, backend.ErrNotFound, func() error { return s.Touch(background, gone.ID, later) }},
		{"update stale", 2, backend.ErrConflict, func() error { rec.Version = 1; return s.Update(background, rec) }},
		{"update missing", 2, backend.ErrNotFound, func() error { return s.Update(background, gone) }},
		{"delete stale", 2, backend.ErrConflict, func() error { return s.DeleteVersion(background, rec.ID, 1) }},
		{"delete version", 1, nil, func() error { return s.DeleteVersion(background, rec.ID, version) }},
		{"delete version missing", 2, backend.ErrNotFound, func() error { return s.DeleteVersion(background, rec.ID, version) }},
		{"delete", 1, nil, func() error { return s.Delete(background, rec.ID) }},
		{"load missing", 1, backend.ErrNotFound, func() error { _, err := s.Load(background, rec.ID); return err }},
		{"by user", 1, nil, func() error { _, err := s.ByUser(background, "alice"); return err }},
		{"count", 1, nil, func() error { _, err := s.Count(background); return err }},
		{"sweep", 2, nil, func() error { _, err := s.Sweep(background, 100); return err }},
	}
	for round := range 2 { // in the first, a connection gets to know the statements
		for _, step := range steps {
			count.take()
			err := step.do()
			got := count.take()
			if !errors.Is(err, step.want) {
				t.Errorf("round %d: %s = %v, want %v", round, step.name, err, step.want)
			}
			if round > 0 && got != step.trips {
				t.Errorf("%s took %d round trips, want %d", step.name, got, step.trips)
			}
		}
	}
}

func startLink(t testing.TB) *testserver.Link {
	t.Helper()
	return startLinkTo(t, server.Addr())
}

func startLinkTo(t testing.TB, addr string) *testserver.Link {
	t.Helper()
	link, err := testserver.StartLink(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := link.Stop(); err != nil {
			t.Error(err)
		}
	})
	return link
}

func TestUpdateKeepsTheLaterExpiryUnlessToldTo(t *testing.T) {
	s := open(t)
	rec := create(t, s, record())
	touched := rec.Expires.Add(10 * time.Minute)
	if err := s.Touch(background, rec.ID, touched); err != nil {
		t.Fatalf("Touch: %v", err)
	}
	if err := s.Update(background, rec); err != nil {
		t.Fatalf("Update: %v", err)
	}
	if got := load(t, s, rec.ID).Expires; !got.Equal(touched) {
		t.Errorf("after an Update with an earlier expiry it is %v, want that of Touch, %v", got, touched)
	}
	rec.Version, rec.Shorten = 2, true
	if err := s.Update(background, rec); err != nil {
		t.Fatalf("Update: %v", err)
	}
	if got := load(t, s, rec.ID).Expires; !got.Equal(rec.Expires) {
		t.Errorf("after an Update with Shorten it is %v, want %v", got, rec.Expires)
	}
	rec.Version, rec.Expires = 3, time.Now().Add(-time.Second)
	if err := s.Update(background, rec); err != nil {
		t.Fatalf("Update: %v", err)
	}
	if _, err := s.Load(background, rec.ID); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("Load of what was shortened into the past = %v, want ErrNotFound", err)
	}
}

// TestBucketFollowsTheExpiry: whatever moved the expiry, and where to, the
// bucket is that of the stored expiry, or a sweep would not find it.
func TestBucketFollowsTheExpiry(t *testing.T) {
	db := database(t)
	s, now := openIn(t, db), time.Now()
	conn := admin(t, db)
	rec := create(t, s, record())
	version := rec.Version
	move := func(how string, to time.Time) {
		t.Helper()
		rec.Expires, rec.Version, rec.Shorten = to, version, how == "shorten"
		var err error
		if how == "touch" {
			err = s.Touch(background, rec.ID, to)
		} else {
			err = s.Update(background, rec)
			version++
		}
		if err != nil {
			t.Fatalf("%s: %v", how, err)
		}
		var right bool
		err = conn.QueryRow(background, "SELECT bucket = floor(extract(epoch FROM expires))::bigint / 300 FROM sessions WHERE id = $1", rec.ID).Scan(&right)
		if err != nil || !right {
			t.Errorf("after %s to %v the bucket is not that of the expiry, %v", how, to, err)
		}
	}
	boundary := now.Truncate(300 * time.Second).Add(2 * time.Hour)
	for _, how := range []string{"touch", "update", "shorten"} {
		for _, to := range []time.Time{
			now.Add(time.Hour), now.Add(90 * time.Minute), now.Add(80 * time.Minute), boundary, boundary.Add(-time.Millisecond),
			boundary.Add(time.Millisecond), now.Add(3 * time.Hour), now.Add(time.Hour),
		} {
			move(how, to)
		}
	}
	move("touch", time.Date(9998, 12, 31, 23, 59, 59, 0, time.UTC))
	move("shorten", now.Add(time.Hour))
	move("update", time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC))
	move("shorten", time.Unix(0, 0))
	if n, err := s.Sweep(background, 10); err != nil || n != 1 {
		t.Errorf("Sweep = %d, %v; want the record", n, err)
	}
}

// TestSweepOfAFullBucket: where thousands of sessions end within the same five
// minutes, a sweep looks at some of the present ones, and the others go when these
// have passed: no statement reads them all.
func TestSweepOfAFullBucket(t *testing.T) {
	bucket := func() int64 { return time.Now().Unix() / bucketSeconds }
	for fills := bucket() - 1; fills != bucket(); { // one that ends meanwhile is no full one
		fills = bucket()
		sweepFullBucket(t, func() bool { return bucket() == fills })
	}
}

// sweepFullBucket judges what is swept of a present bucket while it lasts.
func sweepFullBucket(t *testing.T, lasts func() bool) {
	db := database(t)
	s := openIn(t, db)
	conn := admin(t, db)
	store := func(n int, expires string) {
		t.Helper()
		_, err := conn.Exec(background, "INSERT INTO sessions SELECT gen_random_uuid(), 1, "+expires+", "+sqlBucket+", NULL, 'data' FROM generate_series(1, $1::int)", n)
		if err != nil {
			t.Fatal(err)
		}
	}
	sweep := func(want int) {
		t.Helper()
		if n, err := s.Sweep(background, 10_000); (n != want || err != nil) && lasts() {
			t.Errorf("Sweep = %d, %v; want %d", n, err, want)
		}
	}
	store(600, "now() - interval '1 ms'")
	store(5000, "now() + interval '1 hour'") // not in its own bucket: so long is a test
	store(600, "now() - interval '1 ms'")
	sweep(600)
	if _, err := conn.Exec(background, "UPDATE sessions SET bucket = bucket - 1 WHERE expires < now()"); err != nil {
		t.Fatal(err)
	}
	sweep(600)
	if n := 0; (conn.QueryRow(background, "SELECT count(*) FROM sessions").Scan(&n) != nil || n != 5000) && lasts() {
		t.Errorf("%d sessions are left, want 5000", n)
	}
}

func TestExpiredIsGone(t *testing.T) {
	s := open(t)
	rec := record()
	rec.Expires = time.Now().Add(-time.Millisecond)
	rec.User = "alice"
	rec = create(t, s, rec)
	_, loadErr := s.Load(background, rec.ID)
	for name, err := range map[string]error{
		"Load":          loadErr,
		"Update":        s.Update(background, rec),
		"Touch":         s.Touch(background, rec.ID, time.Now().Add(time.Hour)),
		"DeleteVersion": s.DeleteVersion(background, rec.ID, 1),
	} {
		if !errors.Is(err, backend.ErrNotFound) {
			t.Errorf("%s of an expired record = %v, want ErrNotFound", name, err)
		}
	}
	if got, err := s.ByUser(background, "alice"); err != nil || len(got) != 0 {
		t.Errorf("ByUser = %v, %v; want none", got, err)
	}
	if n, err := s.Count(background); err != nil || n != 0 {
		t.Errorf("Count = %d, %v; want 0", n, err)
	}
	if n, err := s.Sweep(background, 10); err != nil || n != 1 {
		t.Errorf("Sweep = %d, %v; want 1", n, err)
	}
}

func TestFarInstants(t *testing.T) {
	for _, mode := range []string{"cache_statement", "simple_protocol"} {
		s := open(t, "default_query_exec_mode="+mode)
		for _, at := range []time.Time{
			time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC),
			time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC),
			time.Date(292277026596, 1, 1, 0, 0, 0, 0, time.UTC),
			time.Date(2038, 1, 19, 3, 14, 8, 0, time.UTC),
		} {
			rec := record()
			rec.Expires = at
			create(t, s, rec)
			if got := load(t, s, rec.ID); got.Expires.Before(time.Date(2038, 1, 19, 3, 14, 8, 0, time.UTC)) {
				t.Errorf("%s: expiry %v came back as %v", mode, at, got.Expires)
			}
		}
		rec := create(t, s, record())
		rec.Expires, rec.Shorten = time.Time{}, true
		if err := s.Update(background, rec); err != nil {
			t.Errorf("%s: Update to the zero time: %v", mode, err)
		}
		if _, err := s.Load(background, rec.ID); !errors.Is(err, backend.ErrNotFound) {
			t.Errorf("%s: Load = %v, want ErrNotFound", mode, err)
		}
	}
}

// TestUsersAreBytes: no collation, no encoding, no trimming.
func TestUsersAreBytes(t *testing.T) {
	all := make([]byte, 255)
	for i := range all {
		all[i] = byte(i + 1)
	}
	users := []string{
		"alice", "Alice", "alice ", " alice", "alice\x00", "ali\x00ce", "älice", "a\u0308lice", "ａlice",
		"\xff\xfe", "'", `\'`, `"; --`, "%", "_", "ß", "ss", "\x00", " ", string(all), strings.Repeat("x", 255), strings.Repeat("x", 254),
	}
	for _, mode := range []string{"cache_statement", "exec", "simple_protocol"} {
		s := open(t, "default_query_exec_mode="+mode)
		ids := map[string]uuid.UUID{}
		for _, user := range users {
			rec := record()
			rec.User = user
			ids[user] = create(t, s, rec).ID
		}
		create(t, s, record()) // anonymous
		for _, user := range users {
			got, err := s.ByUser(background, user)
			if err != nil || len(got) != 1 || got[0].ID != ids[user] || got[0].User != user {
				t.Errorf("%s: ByUser(%q) = %v, %v; want the one record", mode, user, got, err)
			}
			if rec := load(t, s, ids[user]); rec.User != user {
				t.Errorf("%s: Load: user %q, want %q", mode, rec.User, user)
			}
		}
		rec := record()
		rec.User = strings.Repeat("x", 256)
		if err := s.Create(background, rec); !errors.Is(err, backend.ErrUser) {
			t.Errorf("Create with a user of 256 bytes = %v, want ErrUser", err)
		}
	}
}

// TestByUserReadsHeads: what follows the first HeadSize bytes does not come.
func TestByUserReadsHeads(t *testing.T) {
	s := open(t)
	for _, size := range []int{0, 1, backend.HeadSize - 1, backend.HeadSize, backend.HeadSize + 1, 3000, 1 << 20} {
		rec := record()
		rec.User, rec.Data = "ada", bytes.Repeat([]byte{0xab}, size)
		create(t, s, rec)
		got, err := s.ByUser(background, "ada")
		if err != nil || len(got) != 1 || !bytes.Equal(got[0].Data, rec.Data[:min(size, backend.HeadSize)]) {
			t.Errorf("%d bytes: ByUser returned %d records, %v; want one with the head", size, len(got), err)
		}
		if err := s.Delete(background, rec.ID); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTooLarge(t *testing.T) {
	s := open(t)
	rec := record()
	rec.Data = bytes.Repeat([]byte{0xab}, 4<<20)
	rec.Data[0], rec.Data[len(rec.Data)-1] = 1, 2
	create(t, s, rec)
	if got := load(t, s, rec.ID); !bytes.Equal(got.Data, rec.Data) {
		t.Errorf("%d bytes came back as %d or others", len(rec.Data), len(got.Data))
	}
	rec.Data = make([]byte, maxData+1)
	if err := s.Update(background, rec); !errors.Is(err, backend.ErrTooLarge) {
		t.Errorf("Update of %d bytes = %v, want ErrTooLarge", len(rec.Data), err)
	}
	other := record()
	other.Data = rec.Data
	if err := s.Create(background, other); !errors.Is(err, backend.ErrTooLarge) {
		t.Errorf("Create of %d bytes = %v, want ErrTooLarge", len(rec.Data), err)
	}
}

func TestCancelledContext(t *testing.T) {
	db := database(t)
	s := openIn(t, db)
	rec := create(t, s, record())
	ctx, cancel := context.WithCancel(background)
	cancel()
	_, err := s.Load(ctx, rec.ID)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Load with a cancelled context = %v, want context.Canceled", err)
	}
	// In the middle of a statement that waits for a lock:
	unlock := lockRow(t, db, rec.ID)
	ctx, cancel = context.WithTimeout(background, 100*time.Millisecond)
	defer cancel()
	within(t, soon, "Update until its deadline", func() {
		if err := s.Update(ctx, rec); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Update = %v, want context.DeadlineExceeded", err)
		}
	})
	// Its connection ends, be it that the statement had not yet begun.
	eventually(t, "the server gives up, too", func() bool { return len(connections(t, db)) == 0 })
	unlock()
	if got := load(t, s, rec.ID).Version; got != 1 {
		t.Errorf("version %d after an Update that was given up, want 1", got)
	}
}

// lockRow locks a row until the returned function is called.
func lockRow(t testing.TB, db string, id uuid.UUID) (unlock func()) {
	t.Helper()
	tx, err := admin(t, db).Begin(background)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(background, "SELECT 1 FROM sessions WHERE id = $1 FOR UPDATE", id); err != nil {
		t.Fatal(err)
	}
	return sync.OnceFunc(func() {
		if err := tx.Rollback(background); err != nil {
			t.Error(err)
		}
	})
}

func TestClosed(t *testing.T) {
	s, err := Open(server.DSN(database(t)))
	if err != nil {
		t.Fatal(err)
	}
	rec := create(t, s, record())
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if _, err := s.Load(background, rec.ID); !errors.Is(err, backend.ErrClosed) {
		t.Errorf("Load after Close = %v, want ErrClosed", err)
	}
}

// TestCallersPool: New leaves the pool alone.
func TestCallersPool(t *testing.T) {
	dsn := server.DSN(database(t))
	p, q := pool(t, dsn), sqlPool(t, dsn)
	s, err := New(p, Options{})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	other, err := NewSQL(q, Options{})
	if err != nil {
		t.Fatalf("NewSQL: %v", err)
	}
	if s.Bounded() || other.Bounded() {
		t.Error("a store on the caller's pool calls itself bounded")
	}
	rec := create(t, s, record())
	checkRecord(t, load(t, other, rec.ID), rec)
	for _, closed := range []*Store{s, other} {
		if err := closed.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if err := p.Ping(background); err != nil {
		t.Errorf("the caller's pool after Close: %v", err)
	}
	if err := q.Ping(); err != nil {
		t.Errorf("the caller's database/sql pool after Close: %v", err)
	}
	p.Close()
	again := newOn(t, func() (*Store, error) { return NewSQL(q, Options{}) })
	q.Close()
	if _, err := again.Load(background, rec.ID); !errors.Is(err, backend.ErrClosed) {
		t.Errorf("Load on a closed pool of database/sql = %v, want ErrClosed", err)
	}
	if _, err := New(nil, Options{}); err == nil {
		t.Error("New(nil): no error")
	}
	if _, err := NewSQL(nil, Options{}); err == nil {
		t.Error("NewSQL(nil): no error")
	}
}

func TestBounded(t *testing.T) {
	if s := open(t); !s.Bounded() {
		t.Error("Open: not bounded")
	}
	if s := open(t, "connect_timeout=30"); s.Bounded() {
		t.Error("Open with connect_timeout=30 calls itself bounded")
	}
}

func TestRegistered(t *testing.T) {
	s, err := backend.Open(Name, server.DSN(database(t)))
	if err != nil {
		t.Fatalf("backend.Open: %v", err)
	}
	create(t, s, record())
	if err := s.(*Store).Close(); err != nil {
		t.Error(err)
	}
}

// TestDataIsNotShared: what Load returned does not change with the next use of
// its connection.
func TestDataIsNotShared(t *testing.T) {
	s := open(t, "pool_max_conns=1")
	var got [][]byte
	for i := range 20 {
		rec := record()
		rec.Data = bytes.Repeat([]byte{byte(i)}, 300)
		create(t, s, rec)
		got = append(got, load(t, s, rec.ID).Data)
	}
	for i, data := range got {
		if !bytes.Equal(data, bytes.Repeat([]byte{byte(i)}, 300)) {
			t.Errorf("data %d was changed by later calls", i)
		}
	}
}

// TestOnePool: however many calls there are, the server sees one pool's
// connections; after Close none.
func TestOnePool(t *testing.T) {
	db := database(t)
	s, err := Open(server.DSN(db))
	if err != nil {
		t.Fatal(err)
	}
	rec := create(t, s, record())
	var wg sync.WaitGroup
	for range 3 * maxConns {
		wg.Go(func() {
			for range 10 {
				if _, err := s.Load(background, rec.ID); err != nil {
					t.Errorf("Load: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if n := len(connections(t, db)); n == 0 || n > maxConns {
		t.Errorf("%d connections after %d calls, want 1 to %d", n, 30*maxConns, maxConns)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	eventually(t, "no connection is left", func() bool { return len(connections(t, db)) == 0 })
}

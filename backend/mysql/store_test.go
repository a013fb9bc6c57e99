//go:build servers

package mysql

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
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
		!got.Expires.Equal(want.Expires) || !bytes.Equal(got.Data, want.Data) {
		t.Errorf("Load = %+v, want %+v", got, want)
	}
}

// TestOneRoundTrip counts at the server: each operation is one statement and
// nothing else, those of every request prepared, unless the DSN says that
// nothing is to be.
func TestOneRoundTrip(t *testing.T) {
	for _, params := range [][]string{nil, {"interpolateParams=true"}, {"clientFoundRows=true"}} {
		t.Run(strings.Join(params, ","), func(t *testing.T) { oneRoundTrip(t, params) })
	}
}

func oneRoundTrip(t *testing.T, params []string) {
	s := open(t, params...)
	s.db.SetMaxOpenConns(1) // one connection, warm after the first round
	rec, gone := record(), record()
	later := rec.Expires
	var version uint64
	steps := []struct {
		name  string
		trips uint64
		execs uint64 // of those, of prepared statements
		want  error
		do    func() error
	}{
		{"create", 1, 1, nil, func() error { rec = record(); later = rec.Expires; return s.Create(background, rec) }},
		{"create twice", 1, 1, backend.ErrExists, func() error { return s.Create(background, rec) }},
		{"load", 1, 1, nil, func() error { _, err := s.Load(background, rec.ID); return err }},
		{"update", 1, 1, nil, func() error { rec.Version = 1; version = 2; return s.Update(background, rec) }},
		{"shorten", 1, 0, nil, func() error {
			short := rec
			short.Version, short.Shorten = version, true
			version++
			return s.Update(background, short)
		}},
		{"touch", 1, 1, nil, func() error { later = later.Add(time.Minute); return s.Touch(background, rec.ID, later) }},
		{"touch again", 2, 1, nil, func() error { return s.Touch(background, rec.ID, later) }},
		{"touch earlier", 2, 1, nil, func() error { return s.Touch(background, rec.ID, later.Add(-time.Second)) }},
		{"touch missing", 2, 1, backend.ErrNotFound, func() error { return s.Touch(background, gone.ID, later) }},
		{"update stale", 2, 1, backend.ErrConflict, func() error { rec.Version = 1; return s.Update(background, rec) }},
		{"update missing", 2, 1, backend.ErrNotFound, func() error { return s.Update(background, gone) }},
		{"delete stale", 2, 1, backend.ErrConflict, func() error { return s.DeleteVersion(background, rec.ID, 1) }},
		{"delete version", 1, 1, nil, func() error { return s.DeleteVersion(background, rec.ID, version) }},
		{"delete version missing", 2, 1, backend.ErrNotFound, func() error { return s.DeleteVersion(background, rec.ID, version) }},
		{"delete", 1, 0, nil, func() error { return s.Delete(background, rec.ID) }},
		{"load missing", 1, 1, backend.ErrNotFound, func() error { _, err := s.Load(background, rec.ID); return err }},
		{"by user", 1, 0, nil, func() error { _, err := s.ByUser(background, "alice"); return err }},
		{"count", 1, 0, nil, func() error { _, err := s.Count(background); return err }},
		{"sweep", 1, 0, nil, func() error { _, err := s.Sweep(background, 100); return err }},
	}
	for round := range 2 { // the first prepares nothing more: Open did
		for _, step := range steps {
			before := counters(t)
			err := step.do()
			got := counters(t).Sub(before)
			if !errors.Is(err, step.want) {
				t.Errorf("round %d: %s = %v, want %v", round, step.name, err, step.want)
			}
			want := testserver.Statements{Questions: step.trips, Executed: step.execs}
			if s.texts {
				want.Executed = 0
			}
			if got != want {
				t.Errorf("round %d: %s made %+v at the server, want %+v", round, step.name, got, want)
			}
		}
	}
}

func counters(t *testing.T) testserver.Statements {
	t.Helper()
	c, err := server.Statements()
	if err != nil {
		t.Fatal(err)
	}
	return c
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
	for _, mode := range []string{"", "TRADITIONAL"} {
		s := open(t, "sql_mode='"+mode+"'")
		for _, at := range []time.Time{
			time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC),
			time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC),
			time.Unix(math.MaxInt64/1e9*1e9, 0), // about the year 292277026596: time.Date takes an int
			time.Date(2038, 1, 19, 3, 14, 8, 0, time.UTC),
		} {
			rec := record()
			rec.Expires = at
			create(t, s, rec)
			if got := load(t, s, rec.ID); got.Expires.Before(time.Date(2038, 1, 19, 3, 14, 8, 0, time.UTC)) {
				t.Errorf("sql_mode %q: expiry %v came back as %v", mode, at, got.Expires)
			}
		}
		rec := create(t, s, record())
		rec.Expires, rec.Shorten = time.Time{}, true
		if err := s.Update(background, rec); err != nil {
			t.Errorf("sql_mode %q: Update to the zero time: %v", mode, err)
		}
		if _, err := s.Load(background, rec.ID); !errors.Is(err, backend.ErrNotFound) {
			t.Errorf("sql_mode %q: Load = %v, want ErrNotFound", mode, err)
		}
	}
}

// TestUsersAreBytes: no collation, no padding, no trimming.
func TestUsersAreBytes(t *testing.T) {
	s := open(t)
	all := make([]byte, 255)
	for i := range all {
		all[i] = byte(i + 1)
	}
	users := []string{
		"alice", "Alice", "alice ", " alice", "alice\x00", "ali\x00ce", "älice", "a\u0308lice", "ａlice",
		"\xff\xfe", "'", `\'`, `"; --`, "%", "_", "ß", "ss", "\x00", " ", string(all), strings.Repeat("x", 255), strings.Repeat("x", 254),
	}
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
			t.Errorf("ByUser(%q) = %v, %v; want the one record", user, got, err)
		}
		if rec := load(t, s, ids[user]); rec.User != user {
			t.Errorf("Load: user %q, want %q", rec.User, user)
		}
	}
	rec := record()
	rec.User = strings.Repeat("x", 256)
	if err := s.Create(background, rec); !errors.Is(err, backend.ErrUser) {
		t.Errorf("Create with a user of 256 bytes = %v, want ErrUser", err)
	}
	rec = create(t, s, record())
	rec.User = strings.Repeat("x", 256)
	if err := s.Update(background, rec); !errors.Is(err, backend.ErrUser) {
		t.Errorf("Update with a user of 256 bytes = %v, want ErrUser", err)
	}
}

// TestIDsAreBytes: IDs that differ in the last byte only, zeros and blanks
// included, are different records.
func TestIDsAreBytes(t *testing.T) {
	s := open(t)
	base := record()
	for b := range 256 {
		rec := base
		rec.ID[15] = byte(b)
		rec.Data = []byte{byte(b)}
		create(t, s, rec)
	}
	for b := range 256 {
		id := base.ID
		id[15] = byte(b)
		if rec := load(t, s, id); !bytes.Equal(rec.Data, []byte{byte(b)}) {
			t.Errorf("ID ending in %02x has data % x", b, rec.Data)
		}
	}
}

// TestTooLarge: the error comes before the write, whatever the sql_mode, and
// what is as large as it can be comes back whole.
func TestTooLarge(t *testing.T) {
	for _, mode := range []string{"", "STRICT_ALL_TABLES"} {
		s := open(t, "sql_mode='"+mode+"'", "readTimeout=5s")
		rec := record()
		rec.Data = bytes.Repeat([]byte{0xab}, s.maxData)
		rec.Data[0], rec.Data[len(rec.Data)-1] = 1, 2
		rec.User = strings.Repeat("u", 255)
		create(t, s, rec)
		if got := load(t, s, rec.ID); !bytes.Equal(got.Data, rec.Data) {
			t.Fatalf("sql_mode %q: %d bytes came back as %d or others", mode, len(rec.Data), len(got.Data))
		}
		before := counters(t)
		rec.Data = append(rec.Data, 3)
		if err := s.Update(background, rec); !errors.Is(err, backend.ErrTooLarge) {
			t.Errorf("sql_mode %q: Update of %d bytes = %v, want ErrTooLarge", mode, len(rec.Data), err)
		}
		other := record()
		other.Data = rec.Data
		if err := s.Create(background, other); !errors.Is(err, backend.ErrTooLarge) {
			t.Errorf("sql_mode %q: Create of %d bytes = %v, want ErrTooLarge", mode, len(rec.Data), err)
		}
		if after := counters(t); after != before {
			t.Errorf("the server was asked all the same: %+v", after.Sub(before))
		}
	}
}

// TestTooLargeForAShrunkServer: max_allowed_packet was lowered after the
// start. It is an error, and nothing is changed.
func TestTooLargeForAShrunkServer(t *testing.T) {
	s := open(t)
	rec := create(t, s, record())
	exec(t, "SET GLOBAL max_allowed_packet = 1048576")
	t.Cleanup(func() { exec(t, "SET GLOBAL max_allowed_packet = 16777216") })
	s.db.SetMaxIdleConns(0) // only new connections from now on
	big := rec
	big.Data = make([]byte, 2<<20)
	if err := s.Update(background, big); err == nil {
		t.Error("Update of 2 MiB through packets of 1 MiB: no error")
	}
	checkRecord(t, load(t, s, rec.ID), rec)
}

func TestTwoUpdatesOfOneVersion(t *testing.T) {
	s := open(t)
	rec := create(t, s, record())
	const n = 16
	errs := make(chan error, n)
	for range n {
		go func() { errs <- s.Update(background, rec) }()
	}
	done, conflicts := 0, 0
	for range n {
		switch err := <-errs; {
		case err == nil:
			done++
		case errors.Is(err, backend.ErrConflict):
			conflicts++
		default:
			t.Errorf("Update: %v", err)
		}
	}
	if done != 1 || conflicts != n-1 {
		t.Errorf("%d Updates of one version: %d done, %d conflicts; want 1 and %d", n, done, conflicts, n-1)
	}
}

func TestCancelledContext(t *testing.T) {
	s := open(t)
	rec := create(t, s, record())
	ctx, cancel := context.WithCancel(background)
	cancel()
	_, err := s.Load(ctx, rec.ID)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Load with a cancelled context = %v, want context.Canceled", err)
	}
	// In the middle of a statement that waits for a lock:
	hold := lockRow(t, s, rec.ID)
	ctx, cancel = context.WithTimeout(background, 100*time.Millisecond)
	defer cancel()
	within(t, soon, "Update until its deadline", func() {
		if err := s.Update(ctx, rec); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Update = %v, want context.DeadlineExceeded", err)
		}
	})
	hold()
	// The server may still have done it: given up is not undone.
	if got := load(t, s, rec.ID).Version; got > 2 {
		t.Errorf("version %d after one Update that was given up", got)
	}
}

// lockRow locks a row until the returned function is called.
func lockRow(t *testing.T, s *Store, id uuid.UUID) (unlock func()) {
	t.Helper()
	tx, err := s.db.Beginx()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("SELECT 1 FROM sessions WHERE id = ? FOR UPDATE", id[:]); err != nil {
		t.Fatal(err)
	}
	return sync.OnceFunc(func() {
		if err := tx.Rollback(); err != nil {
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
	if err := s.Update(background, rec); !errors.Is(err, backend.ErrClosed) {
		t.Errorf("Update after Close = %v, want ErrClosed", err)
	}
}

// TestCallersPool: New leaves the pool and its settings alone.
func TestCallersPool(t *testing.T) {
	db := pool(t, database(t))
	db.SetMaxOpenConns(3)
	s, err := New(db, Options{Table: "my_sessions"})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	if s.Bounded() {
		t.Error("a store on the caller's pool calls itself bounded")
	}
	create(t, s, record())
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	var n int
	if err := db.Get(&n, "SELECT COUNT(*) FROM my_sessions"); err != nil || n != 1 {
		t.Errorf("the caller's pool after Close: %d, %v; want 1 and no error", n, err)
	}
	if got := db.Stats().MaxOpenConnections; got != 3 {
		t.Errorf("MaxOpenConnections is %d, want the caller's 3", got)
	}
	if _, err := New(nil, Options{}); err == nil {
		t.Error("New(nil): no error")
	}
}

func TestBounded(t *testing.T) {
	if s := open(t); !s.Bounded() {
		t.Error("Open: not bounded")
	}
	if s := open(t, "readTimeout=30s"); s.Bounded() {
		t.Error("Open with readTimeout=30s calls itself bounded")
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
	s := open(t)
	s.db.SetMaxOpenConns(1)
	var got [][]byte
	for i := range 20 {
		rec := record()
		rec.Data = bytes.Repeat([]byte{byte(i)}, 300)
		create(t, s, rec)
		got = append(got, load(t, s, rec.ID).Data)
	}
	for i, data := range got {
		if !bytes.Equal(data, bytes.Repeat([]byte{byte(i)}, 300)) {
			t.Fatalf("record %d changed after it was loaded: %s", i, fmt.Sprintf("% x", data[:8]))
		}
	}
}

func TestEmptyData(t *testing.T) {
	s := open(t)
	for _, data := range [][]byte{nil, {}} {
		rec := record()
		rec.Data = data
		create(t, s, rec)
		if got := load(t, s, rec.ID); len(got.Data) != 0 {
			t.Errorf("empty data came back as %q", got.Data)
		}
	}
}

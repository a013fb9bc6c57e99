//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package file

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chisession/session/backend"
)

// TestSweepIgnoresFileTimes: `touch -d` neither ends nor prolongs a
// session.
func TestSweepIgnoresFileTimes(t *testing.T) {
	s := openAt(t, t.TempDir()+"/sessions")
	live, dead := newRecord(3), newRecord(3)
	dead.Expires = time.Now().Add(-time.Second)
	mustCreate(t, s, live)
	mustCreate(t, s, dead)
	old, future := time.Unix(1, 0), time.Now().Add(1000*time.Hour)
	if err := errors.Join(os.Chtimes(s.pathOf(live.ID), old, old), os.Chtimes(s.pathOf(dead.ID), future, future)); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Sweep(t.Context(), 10); n != 1 || err != nil {
		t.Fatalf("Sweep = %d, %v; want 1", n, err)
	}
	if _, err := s.Load(t.Context(), live.ID); err != nil {
		t.Errorf("Load of the live one: %v", err)
	}
	if _, err := os.Stat(s.pathOf(dead.ID)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the expired one's file: %v", err)
	}
}

// TestSweepRenewsHead lets an Update prolong a session beyond its head: Sweep
// keeps it, and writes what the head should say.
func TestSweepRenewsHead(t *testing.T) {
	s := openAt(t, t.TempDir()+"/sessions")
	var rec backend.Record
	prolong := func(life time.Duration) error {
		rec = newRecord(3)
		rec.Expires = time.Now().Add(life)
		mustCreate(t, s, rec)
		rec.Version, rec.Expires = 1, time.Now().Add(time.Hour)
		return s.Update(t.Context(), rec)
	}
	err := backend.ErrNotFound // a busy machine may need longer than the session lives
	for life := 50 * time.Millisecond; errors.Is(err, backend.ErrNotFound) && life < time.Minute; life *= 4 {
		err = prolong(life)
	}
	if err != nil {
		t.Fatal(err)
	}
	at := func(rec backend.Record) look {
		look, err := s.glance(s.shardOf(rec.ID), rec.ID)
		if err != nil {
			t.Fatal(err)
		}
		return look
	}
	for deadline := time.Now().Add(2 * time.Minute); at(rec) == lookLive; {
		if time.Now().After(deadline) {
			t.Fatal("the head never expired")
		}
	}
	if _, err := s.Sweep(t.Context(), 10); err != nil {
		t.Fatalf("Sweep: %v", err)
	}
	if _, err := s.Load(t.Context(), rec.ID); err != nil {
		t.Errorf("Load after Sweep: %v", err)
	}
	if at(rec) != lookLive {
		t.Error("the head is as old as before")
	}
}

// TestSweepLeftOvers: what a crash left is collected, when it is
// certain that nobody is at work on it.
func TestSweepLeftOvers(t *testing.T) {
	path := t.TempDir() + "/sessions"
	s := openAt(t, path)
	whole, empty, half, fresh := newRecord(3), newRecord(3), newRecord(3), newRecord(3)
	mustCreate(t, s, whole)
	content := read(t, s.pathOf(whole.ID))
	write(t, s.pathOf(empty.ID), nil)
	write(t, s.pathOf(half.ID), content[:30])
	write(t, s.pathOf(fresh.ID), content[:30])
	temp := filepath.Join(s.shardOf(whole.ID).path, tempName(whole.ID))
	write(t, temp, content)
	old := time.Now().Add(-2 * leftOver)
	for _, rec := range []backend.Record{whole, empty, half} {
		if err := os.Chtimes(s.pathOf(rec.ID), old, old); err != nil {
			t.Fatal(err)
		}
	}
	// A logout by ID leaves its marker; so does a crash.
	user := newRecord(3)
	user.User = "u"
	mustCreate(t, s, user)
	if err := s.Delete(t.Context(), user.ID); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the first finds the directory of the user full
		if n, err := s.Sweep(t.Context(), 10); n != 0 || err != nil {
			t.Fatalf("Sweep = %d, %v; want 0: nothing expired", n, err)
		}
	}
	userShard, userDir := s.userDir("u")
	for name, path := range map[string]string{
		"empty":          s.pathOf(empty.ID),
		"half-made":      s.pathOf(half.ID),
		"temporary":      temp,
		"user's marker":  filepath.Join(userShard.path, userDir, user.ID.String()),
		"user directory": filepath.Join(userShard.path, userDir),
	} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: still there (%v)", name, err)
		}
	}
	for name, path := range map[string]string{"whole": s.pathOf(whole.ID), "fresh": s.pathOf(fresh.ID)} {
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSweepMany sweeps in batches, to the end, and only what has expired.
// With -short it makes fewer files; a hundred thousand took 3 s.
func TestSweepMany(t *testing.T) {
	expired, live := 10_000, 500
	if testing.Short() {
		expired, live = 1000, 50
	}
	s := openAt(t, t.TempDir()+"/sessions")
	for i := range expired + live {
		rec := newRecord(3)
		if i >= live {
			rec.Expires = time.Now().Add(-time.Second)
		}
		mustCreate(t, s, rec)
	}
	start := time.Now()
	removed, limit := 0, 1000
	for {
		n, err := s.Sweep(t.Context(), limit)
		if err != nil || n > limit {
			t.Fatalf("Sweep(%d) = %d, %v", limit, n, err)
		}
		removed += n
		if n < limit {
			break
		}
	}
	t.Logf("%d removed in %v", removed, time.Since(start))
	if removed != expired {
		t.Errorf("removed %d, want %d", removed, expired)
	}
	if n, err := s.Count(t.Context()); n != live || err != nil {
		t.Errorf("Count = %d, %v; want %d", n, err, live)
	}
}

// TestStaleMarkers lets ByUser meet markers that no record answers for.
func TestStaleMarkers(t *testing.T) {
	s := openAt(t, t.TempDir()+"/sessions")
	mine, other := newRecord(3), newRecord(3)
	mine.User, other.User = "me", "other"
	mustCreate(t, s, mine)
	mustCreate(t, s, other)
	gone := newRecord(3)
	for _, rec := range []backend.Record{other, gone} {
		if err := s.addMarker("me", rec.ID); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if recs, err := s.ByUser(t.Context(), "me"); err != nil || len(recs) != 1 || recs[0].ID != mine.ID {
			t.Fatalf("ByUser = %v, %v; want one", recs, err)
		}
	}
	sh, name := s.userDir("me")
	ids, err := s.markers(t.Context(), sh, name)
	if err != nil || len(ids) != 1 {
		t.Errorf("markers = %v, %v; want one", ids, err)
	}
	if recs, err := s.ByUser(t.Context(), "other"); err != nil || len(recs) != 1 {
		t.Errorf("ByUser(other) = %v, %v; want one", recs, err)
	}
}

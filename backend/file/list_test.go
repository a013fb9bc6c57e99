//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package file

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/chisession/session/backend"
)

// A largeRecord is one in a file that lists read only parts of, at version 3,
// and the file as version 4 left it.
type largeRecord struct {
	backend.Record        // version 3
	next           []byte // the frame of version 4
	at             int    // where in the file that is
	before         []byte // the file at version 3
}

// newLarge stores a large record of a user, three times.
func newLarge(t *testing.T, s *Store, user, nextUser string) largeRecord {
	t.Helper()
	const size = 4000
	rec := newRecord(size)
	rec.User = user
	mustCreate(t, s, rec)
	for version := uint64(2); version <= 3; version++ {
		rec.Version, rec.Data = version-1, payload(version, size)
		if err := s.Update(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
	rec.Version = 3
	l := largeRecord{Record: rec, before: read(t, s.pathOf(rec.ID))}
	hd, ok := parseHead(l.before, rec.ID)
	if !ok || hd.size() <= firstSize {
		t.Fatalf("a record of %d bytes is in a file of %d", len(rec.Data), len(l.before))
	}
	l.at = int(hd.slotAt(1)) // versions 1 and 3 are in slot 0
	l.next = appendFrame(nil, hd.sum, 4, millis(rec.Expires), nextUser, payload(4, size))
	return l
}

// with returns the file with parts of the next version's frame in it.
func (l largeRecord) with(parts ...[2]int) []byte {
	file := bytes.Clone(l.before)
	for _, p := range parts {
		copy(file[l.at+p[0]:l.at+p[1]], l.next[p[0]:p[1]])
	}
	return file
}

// wantList wants ByUser to find rec's session alone, at a version.
func wantList(t *testing.T, what string, s *Store, rec backend.Record, version uint64) {
	t.Helper()
	list, err := s.ByUser(t.Context(), rec.User)
	if err != nil || len(list) != 1 || list[0].ID != rec.ID || list[0].Version != version || list[0].User != rec.User {
		t.Fatalf("%s: ByUser = %v, %v; want version %d of %v alone", what, list, err, version, rec.ID)
	}
	if err := checkPayload(list[0]); err != nil || len(list[0].Data) < backend.HeadSize {
		t.Fatalf("%s: ByUser has %d bytes of data, %v", what, len(list[0].Data), err)
	}
}

// TestLargeUpdateKeepsTheFormat: written in two parts, a slot is byte for byte
// what it was when it was written at once.
func TestLargeUpdateKeepsTheFormat(t *testing.T) {
	s := openAt(t, t.TempDir()+"/sessions")
	l := newLarge(t, s, "ann", "ann")
	rec := l.Record
	rec.Data = payload(4, len(rec.Data)/8)
	if err := s.Update(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	if got := read(t, s.pathOf(rec.ID)); !bytes.Equal(got, l.with([2]int{0, len(l.next)})) {
		t.Error("the file is not the one that a single write makes")
	}
	wantList(t, "after that", s, l.Record, 4)
}

// TestListWhileLargeUpdateStops stops a write of a large record after each
// part of it, as a kill does: the list has the version before, until all is
// there.
func TestListWhileLargeUpdateStops(t *testing.T) {
	s := openAt(t, t.TempDir()+"/sessions")
	l := newLarge(t, s, "ann", "bob")
	for cut := startSize; cut < len(l.next); cut += 97 {
		write(t, s.pathOf(l.ID), l.with([2]int{startSize, cut}))
		wantList(t, fmt.Sprint("stopped after byte ", cut), s, l.Record, 3)
	}
	write(t, s.pathOf(l.ID), l.with([2]int{startSize, len(l.next)}))
	wantList(t, "stopped before the beginning", s, l.Record, 3)
	write(t, s.pathOf(l.ID), l.before[:len(l.before)-len(l.next)/2])
	wantList(t, "a file that ends in the middle of the other slot", s, l.Record, 3)
}

// TestListAfterPowerCut: the beginning of a slot is on the disk, the rest is
// not. The list can be wrong about that session, but lacks none, and nothing
// is done to the session for the sake of a version that never was.
func TestListAfterPowerCut(t *testing.T) {
	for _, next := range []string{"ann", "bob"} {
		t.Run("next "+next, func(t *testing.T) {
			s := openAt(t, t.TempDir()+"/sessions")
			l := newLarge(t, s, "ann", next)
			write(t, s.pathOf(l.ID), l.with([2]int{0, 4096}))
			if next == "bob" {
				wantList(t, "the beginning says bob", s, l.Record, 3)
				return
			}
			list, err := s.ByUser(t.Context(), "ann")
			if err != nil || len(list) != 1 {
				t.Fatalf("ByUser = %v, %v; want the session", list, err)
			}
			if got, err := s.Load(t.Context(), l.ID); err != nil || got.Version != 3 {
				t.Fatalf("Load = %v, %v; want version 3", got, err)
			}
			if err := s.DeleteVersion(t.Context(), l.ID, 4); !errors.Is(err, backend.ErrConflict) {
				t.Fatalf("DeleteVersion of the version that never was: %v, want ErrConflict", err)
			}
			wantList(t, "after that", s, l.Record, 3)
			if err := s.DeleteVersion(t.Context(), l.ID, 3); err != nil {
				t.Fatalf("DeleteVersion of the record: %v", err)
			}
		})
	}
}

// TestListDamaged damages each byte that a list reads of a large file, and
// cuts the file: the list has the session or not, and there is no error.
func TestListDamaged(t *testing.T) {
	s := openAt(t, t.TempDir()+"/sessions")
	l := newLarge(t, s, "ann", "ann")
	look := func(what string, at int) {
		t.Helper()
		if list, err := s.ByUser(t.Context(), "ann"); err != nil || len(list) > 1 {
			t.Fatalf("%s %d: ByUser = %v, %v", what, at, list, err)
		}
		// The marker goes with a record that nobody can read.
		if err := s.addMarker("ann", l.ID); err != nil {
			t.Fatal(err)
		}
	}
	for _, from := range []int{0, l.at} {
		for i := from; i < from+headSize+startSize; i += 3 {
			broken := bytes.Clone(l.before)
			broken[i] ^= 0x55
			write(t, s.pathOf(l.ID), broken)
			look("damaged at", i)
		}
	}
	for n := 0; n < len(l.before); n += 501 {
		write(t, s.pathOf(l.ID), l.before[:n])
		look("cut to", n)
	}
}

// TestListBehindAStoppedWriter: a list does not wait for a lock that is not let
// go, but reads the whole record.
func TestListBehindAStoppedWriter(t *testing.T) {
	s := openAt(t, t.TempDir()+"/sessions")
	l := newLarge(t, s, "ann", "ann")
	sh := s.shardOf(l.ID)
	if err := s.lock(t.Context(), sh); err != nil {
		t.Fatal(err)
	}
	defer s.unlock(sh)
	began := time.Now()
	wantList(t, "behind a stopped writer", s, l.Record, 3)
	if took := time.Since(began); took >= lockWait {
		t.Errorf("ByUser took %v behind a stopped writer", took)
	}
}

// TestListWhileLargeRecordsChange lists while writers are at it: every list
// has each session once, with a beginning that is of one version.
func TestListWhileLargeRecordsChange(t *testing.T) {
	const sessions, updates = 4, 150
	s := openAt(t, t.TempDir()+"/sessions")
	var writers sync.WaitGroup
	done := make(chan struct{})
	for i := range sessions {
		l := newLarge(t, s, "ann", "ann")
		writers.Go(func() {
			rec := l.Record
			for range updates {
				rec.Data = payload(rec.Version+1, 3500+500*i)
				if err := s.Update(t.Context(), rec); err != nil {
					t.Errorf("Update: %v", err)
					return
				}
				rec.Version++
			}
		})
	}
	go func() {
		writers.Wait()
		close(done)
	}()
	for lists := 0; ; lists++ {
		list, err := s.ByUser(t.Context(), "ann")
		if err != nil || len(list) != sessions {
			t.Fatalf("ByUser = %v, %v; want %d sessions", list, err, sessions)
		}
		for _, rec := range list {
			if err := checkPayload(rec); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case <-done:
			t.Logf("%d lists", lists)
			return
		default:
		}
	}
}

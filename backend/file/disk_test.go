//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package file

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

var errDisk = errors.New("input/output error")

// A brokenDisk lets chosen steps of a store fail, and notes those that are
// taken.
type brokenDisk struct {
	at    int // the step that fails first, counted from 0; -1: none
	times int // how many steps fail from then on
	steps []step
}

func (b *brokenDisk) fault(st step) error {
	n := len(b.steps)
	b.steps = append(b.steps, st)
	if b.at >= 0 && n >= b.at && n < b.at+b.times {
		return errDisk
	}
	return nil
}

// last returns the position of the last step of a kind, or -1.
func (b *brokenDisk) last(st step) int {
	for i, s := range slices.Backward(b.steps) {
		if s == st {
			return i
		}
	}
	return -1
}

// changes are all calls that change something, each with what it starts from
// and what must be so when it has succeeded.
var changes = []struct {
	name string
	// call makes the change; rec is stored, at version 1, unless create.
	call   func(t *testing.T, s *Store, rec backend.Record, user string) error
	create bool
	gone   bool
	user   bool // the record before is one of the user
	size   int  // of the record before, in numbers; 0 is 10
}{
	{name: "create", create: true, call: func(t *testing.T, s *Store, rec backend.Record, user string) error {
		return s.Create(t.Context(), rec)
	}},
	{name: "create of a user", create: true, call: func(t *testing.T, s *Store, rec backend.Record, user string) error {
		rec.User = user
		return s.Create(t.Context(), rec)
	}},
	{name: "update", call: func(t *testing.T, s *Store, rec backend.Record, user string) error {
		rec.Version, rec.Data = 1, payload(2, 10)
		return s.Update(t.Context(), rec)
	}},
	{name: "update that shortens", call: func(t *testing.T, s *Store, rec backend.Record, user string) error {
		rec.Version, rec.Data, rec.Shorten, rec.Expires = 1, payload(2, 10), true, rec.Expires.Add(-30*time.Minute)
		return s.Update(t.Context(), rec)
	}},
	{name: "update that grows", call: func(t *testing.T, s *Store, rec backend.Record, user string) error {
		rec.Version, rec.Data = 1, payload(2, 20_000)
		return s.Update(t.Context(), rec)
	}},
	{name: "update of a large record", size: 3000, call: func(t *testing.T, s *Store, rec backend.Record, user string) error {
		rec.Version, rec.Data = 1, payload(2, 3000)
		return s.Update(t.Context(), rec)
	}},
	{name: "login", call: func(t *testing.T, s *Store, rec backend.Record, user string) error {
		rec.Version, rec.Data, rec.User = 1, payload(2, 10), user
		return s.Update(t.Context(), rec)
	}},
	{name: "delete", gone: true, user: true, call: func(t *testing.T, s *Store, rec backend.Record, user string) error {
		return s.Delete(t.Context(), rec.ID)
	}},
	{name: "delete of a version", gone: true, user: true, call: func(t *testing.T, s *Store, rec backend.Record, user string) error {
		return s.DeleteVersion(t.Context(), rec.ID, 1)
	}},
}

// TestFailedStepIsNeverTakenForDone lets each single step of each change fail,
// with and without Sync, and for one step or for good. The call must say so;
// and whoever looks after that, as a retry does that looks for its own commit,
// either finds the state before, or gets an error, or finds the new state, and
// then only because it was written and flushed anew.
func TestFailedStepIsNeverTakenForDone(t *testing.T) {
	for _, sync := range []bool{false, true} {
		for _, c := range changes {
			t.Run(fmt.Sprintf("%s/sync=%v", c.name, sync), func(t *testing.T) {
				s, err := New(t.TempDir()+"/sessions", Options{Sync: sync})
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				steps := -1
				for at := 0; steps < 0 || at < steps; at++ {
					for _, howOften := range []int{1, 1000} {
						user := fmt.Sprintf("user %d %d", at, howOften)
						rec := newRecord(cmp.Or(c.size, 10))
						if c.user {
							rec.User = user
						}
						s.fault = nil
						if !c.create {
							mustCreate(t, s, rec)
						}
						disk := &brokenDisk{at: at, times: howOften}
						s.fault = disk.fault
						err := c.call(t, s, rec, user)
						if len(disk.steps) <= at {
							if err != nil {
								t.Fatalf("without a fault: %v", err)
							}
							steps = at // all of them have been let fail
							break
						}
						what := fmt.Sprintf("step %d of %d (%s), %d times", at, len(disk.steps), disk.steps[at], howOften)
						if err == nil {
							t.Errorf("%s: no error", what)
						} else if !errors.Is(err, errDisk) {
							t.Errorf("%s: error %v, want that of the disk", what, err)
						}
						checkAfterFault(t, s, disk, c.create, c.gone, rec.ID, what)
					}
				}
			})
		}
	}
}

func checkAfterFault(t *testing.T, s *Store, disk *brokenDisk, create, gone bool, id uuid.UUID, what string) {
	t.Helper()
	begun := len(disk.steps)
	got, err := s.Load(t.Context(), id)
	rewritten := func(kinds ...step) {
		t.Helper()
		if !s.opts.Sync {
			return
		}
		for _, kind := range kinds {
			if disk.last(kind) < begun {
				t.Errorf("%s: Load shows the new state (version %d, %v), but there was no %q after the failure: %q", what, got.Version, err, kind, disk.steps)
			}
		}
	}
	switch {
	case errors.Is(err, backend.ErrNotFound):
		switch {
		case gone && disk.steps[disk.at] == stepFlushDir:
			rewritten(stepFlushDir)
		case !create && !gone:
			t.Errorf("%s: the record is gone", what)
		}
	case err != nil:
		if !errors.Is(err, errDisk) {
			t.Errorf("%s: Load: %v, want the error of the disk, or none", what, err)
		}
	case create || got.Version == 2:
		rewritten(stepWrite, stepFlush)
	case gone:
		if got.Version != 1 {
			t.Errorf("%s: Load = version %d, want 1", what, got.Version)
		}
	}

	// When the disk is well again, so is the store.
	disk.at = -1
	got, err = s.Load(t.Context(), id)
	switch {
	case errors.Is(err, backend.ErrNotFound):
		if !create && !gone {
			t.Errorf("%s: after the disk recovered the record is gone", what)
		}
		return
	case err != nil:
		t.Errorf("%s: after the disk recovered, Load: %v", what, err)
		return
	}
	if err := checkPayload(got); err != nil {
		t.Errorf("%s: after the disk recovered: %v", what, err)
	}
	if got.User != "" {
		if recs, err := s.ByUser(t.Context(), got.User); err != nil || len(recs) != 1 {
			t.Errorf("%s: after the disk recovered ByUser finds %d records, %v; want the one", what, len(recs), err)
		}
	}
	next := got
	next.Data = payload(got.Version+1, 30)
	if err := s.Update(t.Context(), next); err != nil {
		t.Errorf("%s: after the disk recovered, Update: %v", what, err)
	}
	if err := s.DeleteVersion(t.Context(), id, got.Version+1); err != nil {
		t.Errorf("%s: after the disk recovered, DeleteVersion: %v", what, err)
	}
	if n := s.doubts.n.Load(); n != 0 {
		t.Errorf("%s: after the disk recovered %d records are in doubt", what, n)
	}
	for _, left := range temporaries(t, s.path) {
		if strings.Contains(left, id.String()) && disk.times == 1 {
			t.Errorf("%s: left over: %v", what, left)
		}
	}
}

// TestSyncFlushes: what each change flushes, in which order. A record is
// flushed before its name, and a marker before the record that it finds.
func TestSyncFlushes(t *testing.T) {
	want := map[string]string{
		"create":                   "write, fsync a file, close, fsync a directory",
		"create of a user":         "make a user's directory, make a marker, fsync a directory, fsync a directory, write, fsync a file, close, fsync a directory",
		"update":                   "write, fsync a file, close",
		"update that shortens":     "write, write the expiry, fsync a file, close",
		"update of a large record": "write, write, fsync a file, close",
		"update that grows":        "write, fsync a file, close, rename, fsync a directory, close",
		"login":                    "make a user's directory, make a marker, fsync a directory, fsync a directory, write, fsync a file, close",
		"delete":                   "remove, fsync a directory",
		"delete of a version":      "remove, fsync a directory",
	}
	for _, c := range changes {
		s, err := New(t.TempDir()+"/sessions", Options{Sync: true})
		if err != nil {
			t.Fatal(err)
		}
		rec := newRecord(cmp.Or(c.size, 10))
		if c.user {
			rec.User = "ann"
		}
		if !c.create {
			mustCreate(t, s, rec)
		}
		disk := &brokenDisk{at: -1}
		s.fault = disk.fault
		if err := c.call(t, s, rec, "ann"); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		var got []string
		for _, st := range disk.steps {
			got = append(got, string(st))
		}
		if got := strings.Join(got, ", "); got != want[c.name] {
			t.Errorf("%s takes the steps %s; want %s", c.name, got, want[c.name])
		}
		s.Close()
	}
}

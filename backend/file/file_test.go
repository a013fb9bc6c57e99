//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package file

import (
	"os"
	"testing"
	"time"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	backendtest.Run(t, func(t *testing.T) backend.Store {
		return openPatient(t, t.TempDir()+"/sessions")
	})
}

// TestContractShared runs the contract between two stores on one directory:
// their locks exclude each other as those of two processes do.
func TestContractShared(t *testing.T) {
	t.Parallel()
	backendtest.RunShared(t, func(t *testing.T) (a, b backend.Store) {
		path := t.TempDir() + "/sessions"
		return openPatient(t, path), openPatient(t, path)
	})
}

// openPatient opens a store whose calls wait for a lock as long as a busy machine may
// need for a crowd at one.
func openPatient(t testing.TB, path string) *Store {
	t.Helper()
	s := openAt(t, path)
	s.patience = time.Minute
	return s
}

// openAt opens a store and closes it with the test.
func openAt(t testing.TB, path string) *Store {
	t.Helper()
	s, err := New(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// TestOpen opens by name, and the default directory.
func TestOpen(t *testing.T) {
	t.Chdir(t.TempDir())
	s, err := backend.Open(Name, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.(*Store).Close(); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(DefaultDir); err != nil || !info.IsDir() {
		t.Errorf("Open(%q, \"\") made no %s: %v", Name, DefaultDir, err)
	}
	if _, err := New("", Options{}); err == nil {
		t.Error(`New(""): no error`)
	}
}

// TestRestart: a store opened later has
// what an earlier one had.
func TestRestart(t *testing.T) {
	path := t.TempDir() + "/sessions"
	rec := newRecord(3)
	rec.User = "u"
	first, err := New(path, Options{Sync: true})
	if err != nil {
		t.Fatal(err)
	}
	mustCreate(t, first, rec)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := openAt(t, path).ByUser(t.Context(), "u")
	if err != nil || len(got) != 1 || got[0].ID != rec.ID || !got[0].Expires.Equal(rec.Expires) {
		t.Errorf("ByUser = %v, %v; want the record", got, err)
	}
}

package file

import (
	"testing"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
)

func TestContract(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backend.Store {
		return openAt(t, t.TempDir()+"/sessions")
	})
}

// TestContractShared runs the contract between two stores on one directory:
// their locks exclude each other as those of two processes do.
func TestContractShared(t *testing.T) {
	backendtest.RunShared(t, func(t *testing.T) (a, b backend.Store) {
		path := t.TempDir() + "/sessions"
		return openAt(t, path), openAt(t, path)
	})
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

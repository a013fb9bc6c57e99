//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package file

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// newRecord returns a record with an ID of its own.
func newRecord(size int) backend.Record {
	return backend.Record{
		ID:      uuid.Must(uuid.NewV7()),
		Expires: time.Now().Add(time.Hour).Truncate(time.Millisecond),
		Data:    payload(1, size),
	}
}

func (s *Store) pathOf(id uuid.UUID) string {
	return filepath.Join(s.shardOf(id).path, recordName(id))
}

func temporaries(t *testing.T, path string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(path, func(name string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(name, tempSuffix) {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func mustCreate(t *testing.T, s *Store, rec backend.Record) {
	t.Helper()
	if err := s.Create(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
}

// TestTorn stops a write after each of its bytes: the version before it is
// there, and the next write heals the file. Files of both kinds, read whole
// or in parts.
func TestTorn(t *testing.T) {
	s := openAt(t, t.TempDir()+"/sessions")
	for _, size := range []int{10, 100, 3000} {
		rec := newRecord(size)
		mustCreate(t, s, rec)
		for version := uint64(2); version <= 3; version++ {
			rec.Version, rec.Data = version-1, payload(version, size)
			if err := s.Update(t.Context(), rec); err != nil {
				t.Fatal(err)
			}
		}
		path := s.pathOf(rec.ID)
		before := read(t, path)
		rec.Version, rec.Data = 3, payload(4, size)
		if err := s.Update(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
		after := read(t, path)
		if len(before) != len(after) {
			t.Fatalf("a write in place changed the size from %d to %d", len(before), len(after))
		}
		step := max(1, size/100)
		for cut := 0; cut < len(after); cut += step {
			torn := append(bytes.Clone(after[:cut]), before[cut:]...)
			write(t, path, torn)
			got, err := s.Load(t.Context(), rec.ID)
			if err != nil {
				t.Fatalf("size %d, cut at %d: Load: %v", size, cut, err)
			}
			if got.Version != 3 && !bytes.Equal(torn, after) {
				t.Fatalf("size %d, cut at %d: Load has version %d, want 3", size, cut, got.Version)
			}
			if err := checkPayload(got); err != nil {
				t.Fatalf("size %d, cut at %d: %v", size, cut, err)
			}
		}
		next := backend.Record{ID: rec.ID, Version: 3, Expires: rec.Expires, Data: payload(4, size)}
		write(t, path, append(bytes.Clone(after[:len(after)/2]), before[len(after)/2:]...))
		if err := s.Update(t.Context(), next); err != nil {
			t.Fatalf("Update of a torn file: %v", err)
		}
	}
}

// TestTruncated cuts a file after each of its bytes, and damages each: what
// Load finds is a version that was written, or none; never an error.
func TestTruncated(t *testing.T) {
	s := openAt(t, t.TempDir()+"/sessions")
	rec := newRecord(20)
	rec.User = "somebody"
	mustCreate(t, s, rec)
	rec.Version, rec.Data = 1, payload(2, 20)
	if err := s.Update(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	path := s.pathOf(rec.ID)
	whole := read(t, path)
	look := func(what string, at int) {
		t.Helper()
		got, err := s.Load(t.Context(), rec.ID)
		if err == nil {
			err = checkPayload(got)
		}
		if err != nil && !errors.Is(err, backend.ErrNotFound) {
			t.Fatalf("%s %d: %v", what, at, err)
		}
	}
	for n := range whole {
		write(t, path, whole[:n])
		look("cut to", n)
	}
	for i := range whole {
		if whole[i] == 0 && i > headSize+300 {
			continue // between the slots
		}
		broken := bytes.Clone(whole)
		broken[i] ^= 0x55
		write(t, path, broken)
		look("damaged at", i)
	}
	if s.Corrupt() == 0 {
		t.Error("Corrupt() = 0")
	}
	write(t, path, nil)
	for what, err := range map[string]error{
		"Update":        s.Update(t.Context(), rec),
		"Touch":         s.Touch(t.Context(), rec.ID, rec.Expires),
		"DeleteVersion": s.DeleteVersion(t.Context(), rec.ID, 1),
	} {
		if !errors.Is(err, backend.ErrNotFound) {
			t.Errorf("%s of an empty file = %v, want ErrNotFound", what, err)
		}
	}
}

// TestMovedFile puts one session's file in the place of another's.
func TestMovedFile(t *testing.T) {
	s := openAt(t, t.TempDir()+"/sessions")
	a, b := newRecord(3), newRecord(4)
	mustCreate(t, s, a)
	mustCreate(t, s, b)
	if err := os.Rename(s.pathOf(a.ID), s.pathOf(b.ID)); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Load(t.Context(), b.ID); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("Load = version %d, %v; want ErrNotFound", got.Version, err)
	}
}

// TestReadersSeeNoTear reads, without a lock, what another store writes: each
// version whole, none older than one that was seen or acknowledged before.
func TestReadersSeeNoTear(t *testing.T) {
	for name, size := range map[string]func(version uint64) int{
		"page":    func(uint64) int { return 200 },
		"large":   func(uint64) int { return 2500 },
		"growing": sizeOf,
	} {
		t.Run(name, func(t *testing.T) {
			path := t.TempDir() + "/sessions"
			writer, reader := openAt(t, path), openAt(t, path)
			rec := newRecord(size(1))
			mustCreate(t, writer, rec)
			versions := uint64(1500)
			if testing.Short() {
				versions = 500
			}
			done := make(chan struct{})
			var wg sync.WaitGroup
			for range 2 {
				wg.Go(func() {
					seen := uint64(0)
					for {
						select {
						case <-done:
							return
						default:
						}
						got, err := reader.Load(t.Context(), rec.ID)
						if err == nil {
							err = checkPayload(got)
						}
						if err != nil || got.Version < seen {
							t.Errorf("Load after version %d: version %d, %v", seen, got.Version, err)
							return
						}
						seen = got.Version
					}
				})
			}
			for v := uint64(2); v <= versions; v++ {
				rec.Version, rec.Data = v-1, payload(v, size(v))
				if err := writer.Update(t.Context(), rec); err != nil {
					t.Errorf("Update to %d: %v", v, err)
					break
				}
				if err := writer.Touch(t.Context(), rec.ID, rec.Expires.Add(time.Duration(v)*time.Second)); err != nil {
					t.Errorf("Touch: %v", err)
				}
			}
			close(done)
			wg.Wait()
		})
	}
}

// FuzzFile reads any bytes as a record.
func FuzzFile(f *testing.F) {
	s := openAt(f, f.TempDir()+"/sessions")
	rec := newRecord(3)
	if err := s.Create(f.Context(), rec); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(s.pathOf(rec.ID))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:50])
	f.Add([]byte(magic))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, content []byte) {
		write(t, s.pathOf(rec.ID), content)
		if _, err := s.Load(t.Context(), rec.ID); err != nil && !errors.Is(err, backend.ErrNotFound) {
			t.Errorf("Load = %v", err)
		}
	})
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

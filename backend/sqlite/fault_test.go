package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
)

// noOutcome fails the test if err is one of those that speak of records: a store
// that cannot respond must not say what is there.
func noOutcome(t *testing.T, call string, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s succeeded, want an error", call)
		return
	}
	for _, lie := range []error{backend.ErrNotFound, backend.ErrExists, backend.ErrConflict, backend.ErrTooLarge, backend.ErrClosed} {
		if errors.Is(err, lie) {
			t.Errorf("%s = %v while the store cannot respond", call, err)
		}
	}
	if !strings.HasPrefix(err.Error(), "sqlite: ") {
		t.Errorf("%s = %q, want the prefix sqlite: and what was attempted", call, err)
	}
}

// lock has another connection hold the lock to write until release is called.
func lock(t *testing.T, path string) (release func()) {
	t.Helper()
	conn, err := callers(t, path).Conn(background)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ExecContext(background, "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	return sync.OnceFunc(func() {
		if _, err := conn.ExecContext(background, "ROLLBACK"); err != nil {
			t.Error(err)
		}
		conn.Close()
	})
}

// TestKilledProcess: of a process that is killed while it writes, everything that
// it was told was stored is there, the file is sound, and nobody waits for its
// lock.
func TestKilledProcess(t *testing.T) {
	t.Parallel()
	for _, synchronous := range []string{"full", "normal"} {
		t.Run(synchronous, func(t *testing.T) {
			t.Parallel()
			path := fileOf(t) + "?synchronous=" + synchronous
			s := open(t, path)
			for range 3 {
				process := startProcess(t)
				other := process.open(t, path)
				var wg sync.WaitGroup
				records, acked := make([]backend.Record, 4), make([]uint64, 4)
				for i := range records {
					records[i] = create(t, s)
					acked[i] = 1
				}
				for i := range records {
					wg.Go(func() {
						for {
							next := records[i]
							next.Version, next.Data = acked[i], fmt.Appendf(nil, "version %d", acked[i]+1)
							if err := other.Update(background, next); err != nil {
								return // it is dead
							}
							acked[i]++
						}
					})
				}
				time.Sleep(300 * time.Millisecond)
				process.kill(t)
				wg.Wait()
				for i, rec := range records {
					began := time.Now()
					got, err := s.Load(background, rec.ID)
					if err != nil || got.Version < acked[i] || got.Version > acked[i]+1 {
						t.Errorf("version %d was acknowledged, %d is stored, %v", acked[i], got.Version, err)
					}
					if want := fmt.Sprint("version ", got.Version); got.Version > 1 && string(got.Data) != want {
						t.Errorf("version %d has the data %q", got.Version, got.Data)
					}
					if err := s.Update(background, got); err != nil || time.Since(began) > busyWait {
						t.Errorf("Update after the other's death: %v, after %v", err, time.Since(began))
					}
				}
			}
			var sound string
			if err := s.read.QueryRow("PRAGMA integrity_check").Scan(&sound); err != nil || sound != "ok" {
				t.Errorf("integrity_check: %s, %v", sound, err)
			}
		})
	}
}

// TestStoreTimeout: a manager's requests wait for a writer as long as StoreTimeout
// says, and are 503 then; those that only read do not wait.
func TestStoreTimeout(t *testing.T) {
	t.Parallel()
	path := fileOf(t)
	m, err := session.New(session.Config{
		Store: open(t, path), StoreTimeout: 400 * time.Millisecond, SweepEvery: -1, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	h := m.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r)
		if r.Method == "POST" {
			n, _ := session.Get[int](s, "n")
			s.Set("n", n+1)
		}
		fmt.Fprint(w, s.Get("n"))
	}))
	var cookies []*http.Cookie
	// serve has a request served within limit, and has another try on a busy machine,
	// up to 20 times.
	serve := func(method string, limit time.Duration, want int) (w *httptest.ResponseRecorder, took time.Duration) {
		for try := 0; try == 0 || try < 20 && (took > limit || w.Code != want); try++ {
			r := httptest.NewRequest(method, "https://shop.example/", nil)
			for _, c := range cookies {
				r.AddCookie(c)
			}
			w = httptest.NewRecorder()
			began := time.Now()
			h.ServeHTTP(w, r)
			took = time.Since(began)
		}
		return w, took
	}
	const soon, late = 300 * time.Millisecond, 1500 * time.Millisecond
	w, _ := serve("POST", time.Hour, http.StatusOK)
	cookies = w.Result().Cookies()
	release := lock(t, path)
	defer release()
	if w, took := serve("GET", soon, http.StatusOK); w.Code != http.StatusOK || w.Body.String() != "1" || took > soon {
		t.Errorf("reading beside a writer: %d %q after %v", w.Code, w.Body, took)
	}
	if w, took := serve("POST", late, http.StatusServiceUnavailable); w.Code != http.StatusServiceUnavailable || took > late {
		t.Errorf("writing beside a writer: %d after %v, want 503 after StoreTimeout", w.Code, took)
	}
	release()
	if w, _ := serve("POST", time.Hour, http.StatusOK); w.Code != http.StatusOK {
		t.Errorf("writing when the writer is gone: %d", w.Code)
	}
}

// TestLockedDatabase: one that another connection has for itself alone is an
// error within seconds, and works when it is given back.
func TestLockedDatabase(t *testing.T) {
	t.Parallel()
	path := fileOf(t)
	s := open(t, path)
	rec := create(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db := callers(t, path, "_pragma=locking_mode(EXCLUSIVE)")
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("UPDATE sessions SET version = version"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	opened, err := Open(path)
	if err == nil {
		opened.Close()
	}
	noOutcome(t, "Open", err)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("Open of a locked database took %v", took)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := open(t, path).Load(background, rec.ID); err != nil || got.Version != 1 {
		t.Errorf("Load when it is given back: version %d, %v", got.Version, err)
	}
}

// TestFullDisk: errors that say so, never a lie; all that was acknowledged is
// there, and reading goes on; all is well when there is room again.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("a small file system cannot be mounted here (%v: %s): that takes root on Linux", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	s := open(t, filepath.Join(dir, "sessions.db"))
	var acked []backend.Record
	var full error
	for full == nil {
		rec := record()
		rec.Data = bytes.Repeat([]byte{byte(len(acked))}, 6000)
		if full = s.Create(background, rec); full == nil {
			acked = append(acked, rec)
		}
	}
	noOutcome(t, "Create on a full disk", full)
	if !strings.Contains(full.Error(), "full") {
		t.Errorf("Create on a full disk = %v, want it to say so", full)
	}
	check := func(when string) {
		t.Helper()
		for i, rec := range acked {
			if got, err := s.Load(background, rec.ID); err != nil || !bytes.Equal(got.Data, rec.Data) {
				t.Fatalf("%s, record %d of %d: %d bytes, %v", when, i, len(acked), len(got.Data), err)
			}
		}
	}
	check("on the full disk")
	if out, err := exec.Command("mount", "-o", "remount,size=16m", dir).CombinedOutput(); err != nil {
		t.Fatalf("remount: %v: %s", err, out)
	}
	create(t, s)
	check("with room again")
}

// TestNoDatabase: what is none is an error at start that says so.
func TestNoDatabase(t *testing.T) {
	junk := fileOf(t)
	if err := os.WriteFile(junk, bytes.Repeat([]byte("no database "), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{junk: "not a database", t.TempDir(): "directory"} {
		s, err := Open(path)
		if err == nil {
			s.Close()
		}
		noOutcome(t, "Open", err)
		if err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%s) = %v, want an error with %q", path, err, want)
		}
	}
}

// A coded is an error of the driver's with that code of SQLite's.
type coded int

func (c coded) Error() string { return fmt.Sprintf("result %d", int(c)) }
func (c coded) Code() int     { return int(c) }

// TestReadOnlyDirectory: SQLite speaks of a read-only database where it is the
// directory that is. (No directory is to the superuser, whom tests may run as.)
func TestReadOnlyDirectory(t *testing.T) {
	s := open(t, fileOf(t))
	err := s.failure(background, "look at the journal mode", coded(extendedDirectory))
	if err == nil || !strings.Contains(err.Error(), "the directory must be writable") {
		t.Errorf("the failure in a directory that cannot be written to is %v, want one that names it", err)
	}
}

// TestDamagedFile: records that cannot be read are errors, and not sessions that
// do not exist.
func TestDamagedFile(t *testing.T) {
	path := fileOf(t)
	s := open(t, path)
	var records []backend.Record
	for range 300 {
		records = append(records, create(t, s))
	}
	if err := s.Close(); err != nil { // and so its log goes into the file
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	const start = 8192 // behind the schema
	if _, err := f.WriteAt(bytes.Repeat([]byte{0xa5}, int(info.Size())-start), start); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	s, err = Open(path)
	if err != nil {
		noOutcome(t, "Open", err)
		return // that is early enough
	}
	defer s.Close()
	for _, rec := range records {
		if _, err := s.Load(background, rec.ID); err != nil {
			noOutcome(t, "Load", err)
		}
	}
}

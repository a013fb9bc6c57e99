package session_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/gc"
)

// TestBehaviourJ is section J of BEHAVIOURS.md: stores and the collector. 71's
// kill -9 is in tests/processes, 74 in behaviour_j_outage_test.go.
func TestBehaviourJ(t *testing.T) {
	t.Run("68_sweep", func(t *testing.T) { forEachBackend(t, testSweep) })
	t.Run("68_sweep_at_once", func(t *testing.T) { forEachBackend(t, testSweepAtOnce) })         // GC-3
	t.Run("68_sweep_meets_touch", func(t *testing.T) { forEachBackend(t, testSweepMeetsTouch) }) // GC-1
	t.Run("68_sweep_fails", func(t *testing.T) { forEachBackend(t, testSweepFails) })
	t.Run("68_collector", testCollector)    // ME-3, GC-5
	t.Run("68_close_waits", testCloseWaits) // ME-3
	t.Run("68_closed", testClosed)
	t.Run("69_delete_missing", func(t *testing.T) { forEachBackend(t, testDeleteMissing) })
	t.Run("69_loaded_stays", func(t *testing.T) { forEachBackend(t, testLoadedStays) }) // ME-4
	t.Run("70_two_managers", func(t *testing.T) { forEachKind(t, testTwoManagers) })
	t.Run("71_restart", func(t *testing.T) { forEachKind(t, testRestart) })
	t.Run("72_opened_at_once", func(t *testing.T) { forEachKind(t, testOpenedAtOnce) })
	t.Run("72_bad_save_paths", testBadSavePaths) // OP-1
	t.Run("73_foreign_files", testForeignFiles)  // FB-12
	t.Run("73_links", testLinks)                 // FB-5
}

// sweepable opens the store, and says whether somebody has to sweep it.
func sweepable(store backend.Store) bool {
	return backendtest.Capabilities(store)&backendtest.Sweeper != 0
}

// fill puts n records into the store that expire at the given time.
func fill(t *testing.T, store backend.Store, n int, expires time.Time) (ids []uuid.UUID) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range n {
		id, err := uuid.NewV7()
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
		rec := backend.Record{ID: id, Expires: expires, User: fmt.Sprintf("u%d", i%7), Data: []byte("x")}
		wg.Go(func() {
			if err := store.Create(t.Context(), rec); err != nil {
				t.Errorf("Create: %v", err)
			}
		})
		if i%16 == 15 {
			wg.Wait()
		}
	}
	wg.Wait()
	return ids
}

// until waits for an instant.
func until(at time.Time) { elapse(time.Until(at)) }

// testSweep: more expired records than one batch has, some with a timeout of
// their own, among sessions that live.
func testSweep(t *testing.T, open func(*testing.T) backend.Store) {
	store := open(t)
	a := newStage(t, session.Config{Store: store, SweepEvery: -1}, endDeeds)
	live, short := a.browser(t), a.browser(t)
	live.get("/login").want200(t)
	live.get("/remember").want200(t)
	short.get("/start").want200(t)
	soon := time.Now().Add(300 * time.Millisecond).Truncate(time.Millisecond)
	expired := gc.Batch + 20
	if !sweepable(store) {
		expired = 5
	}
	fill(t, store, expired, soon)
	shortID := short.id()
	short.get("/idle").want200(t)
	until(soon.Add(2 * time.Millisecond))
	a.gone(t, shortID)
	n, err := a.Sweep(t.Context())
	if err != nil {
		t.Errorf("Sweep: %v", err)
	}
	if want := expired + 1; sweepable(store) && n != want {
		t.Errorf("Sweep removed %d, want %d", n, want)
	}
	if got := a.Stats().Swept; got != uint64(n) {
		t.Errorf("Stats.Swept is %d, want %d", got, n)
	}
	if got := a.records(t); got != 1 {
		t.Errorf("%d records after it, want 1", got)
	}
	if n, err := a.Sweep(t.Context()); n != 0 || err != nil {
		t.Errorf("a second Sweep: %d, %v, want 0, nil", n, err)
	}
	a.wantSessions(t, "u1")
	live.wantState(`"ada"`)
}

func testSweepAtOnce(t *testing.T, open func(*testing.T) backend.Store) {
	store := open(t)
	here := newStage(t, session.Config{Store: store, SweepEvery: -1}, nil)
	there := newStage(t, session.Config{Store: store, SweepEvery: -1}, nil)
	const expired, living = 200, 20
	soon := time.Now().Add(200 * time.Millisecond).Truncate(time.Millisecond)
	fill(t, store, expired, soon)
	live := fill(t, store, living, soon.Add(time.Hour))
	until(soon.Add(2 * time.Millisecond))
	var wg sync.WaitGroup
	removed := make([]int, 6)
	for i := range removed {
		wg.Go(func() {
			var err error
			if removed[i], err = []*app{here, there}[i%2].Sweep(t.Context()); err != nil {
				t.Errorf("Sweep: %v", err)
			}
		})
	}
	wg.Wait()
	sum := 0
	for _, n := range removed {
		sum += n
	}
	if sweepable(store) && sum != expired {
		t.Errorf("the sweeps removed %v, together %d, want %d", removed, sum, expired)
	}
	for _, id := range live {
		if _, err := store.Load(t.Context(), id); err != nil {
			t.Fatalf("a live record after the sweep: %v", err)
		}
	}
}

// testSweepMeetsTouch: records are touched in their last milliseconds while
// sweeps run. A touch that succeeded has saved its record.
func testSweepMeetsTouch(t *testing.T, open func(*testing.T) backend.Store) {
	store := open(t)
	a := newStage(t, session.Config{Store: store, SweepEvery: -1}, nil)
	soon := time.Now().Add(200 * time.Millisecond).Truncate(time.Millisecond)
	ids := fill(t, store, 200, soon)
	stop := make(chan struct{})
	var sweeps sync.WaitGroup
	sweeps.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if _, err := a.Sweep(context.Background()); err != nil {
					t.Errorf("Sweep: %v", err)
					return
				}
			}
		}
	})
	saved := 0
	until(soon.Add(-20 * time.Millisecond))
	for _, id := range ids {
		switch err := store.Touch(t.Context(), id, soon.Add(time.Hour)); {
		case err == nil:
			saved++
			defer func() {
				if _, err := store.Load(context.Background(), id); err != nil {
					t.Errorf("a record that was touched: %v", err)
				}
			}()
		case !errors.Is(err, backend.ErrNotFound):
			t.Errorf("Touch: %v", err)
		}
	}
	until(soon.Add(20 * time.Millisecond))
	close(stop)
	sweeps.Wait()
	if _, err := a.Sweep(t.Context()); err != nil {
		t.Error(err)
	}
	if got := a.records(t); got != saved {
		t.Errorf("%d records, want the %d that were touched", got, saved)
	}
}

func testSweepFails(t *testing.T, open func(*testing.T) backend.Store) {
	store := open(t)
	a := newStage(t, session.Config{Store: store, SweepEvery: -1}, nil)
	a.calls.On(backendtest.OpSweep, backendtest.Always, backendtest.Fail(errDown))
	_, err := a.Sweep(t.Context())
	var failed *session.StoreError
	if sweepable(store) && (!errors.As(err, &failed) || failed.Op != "sweep" || !errors.Is(err, errDown)) {
		t.Errorf("Sweep: %v, want a StoreError of sweep with the store's", err)
	}
	if !sweepable(store) && err != nil {
		t.Errorf("Sweep: %v, want nil: the server sweeps by itself", err)
	}
}

// testCollector: the manager sweeps by itself, goes on after a failure, and
// does not touch what has a longer timeout of its own.
func testCollector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory(t)
		a := newStage(t, session.Config{Store: store, SweepEvery: time.Minute, IdleTimeout: 10 * time.Minute}, nil)
		live := a.direct(t)
		live.get("/login").want200(t)
		live.get("/remember").want200(t)
		for range 5 {
			a.direct(t).get("/start").want200(t)
		}
		time.Sleep(9 * time.Minute)
		a.calls.On(backendtest.OpSweep, 2, backendtest.Fail(errDown))
		if n := a.Stats().Swept; n != 0 {
			t.Errorf("%d swept before they expired", n)
		}
		time.Sleep(5 * time.Minute)
		if n := a.Stats().Swept; n != 5 {
			t.Errorf("%d swept, want 5", n)
		}
		if n := len(a.log.lines("ERROR", "sweep failed")); n != 2 {
			t.Errorf("%d error lines for 2 failed sweeps", n)
		}
		live.wantState(`"ada"`)
		a.Manager.Close()
		sweeps := a.calls.Calls(backendtest.OpSweep)
		time.Sleep(time.Hour)
		if n := a.calls.Calls(backendtest.OpSweep); n != sweeps {
			t.Errorf("%d sweeps after Close", n-sweeps)
		}
	})
}

// testCloseWaits: a sweep is under way, in a store that does not look at its
// context.
func testCloseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newStage(t, session.Config{Store: newMemory(t), SweepEvery: time.Minute}, nil)
		reached, open := make(chan struct{}), make(chan struct{})
		a.calls.On(backendtest.OpSweep, 1, func(context.Context, backendtest.Call) error {
			close(reached)
			<-open
			return nil
		})
		<-reached
		closed := make(chan error, 1)
		go func() { closed <- a.Manager.Close() }()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("Close returned during a sweep")
		default:
		}
		close(open)
		if err := <-closed; err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := a.Manager.Close(); err != nil {
			t.Errorf("a second Close: %v", err)
		}
	})
}

// testClosed: requests after Close, and those that want to store after it.
func testClosed(t *testing.T) {
	for _, path := range []string{"/set", "/update", "/login", "/logout", "/save"} {
		store := newMemory(t)
		a := newStage(t, session.Config{Store: store}, nil)
		b := a.browser(t)
		b.get("/start").want200(t)
		before, err := store.Load(t.Context(), mustID(b.id()))
		if err != nil {
			t.Fatal(err)
		}
		slow := b.hold(path)
		if err := a.Manager.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if got := slow.finish(); got.status == 200 {
			t.Errorf("%s that began before Close: answer %d, want an error", path, got.status)
		}
		after, err := store.Load(t.Context(), before.ID)
		if err != nil || after.Version != before.Version {
			t.Errorf("%s: stored after Close (error %v)", path, err)
		}
		if got := b.get("/show"); got.status != 503 {
			t.Errorf("a request after Close: answer %d, want 503", got.status)
		}
	}
}

func testDeleteMissing(t *testing.T, open func(*testing.T) backend.Store) {
	a := newStage(t, session.Config{Store: open(t)}, nil)
	b := a.browser(t)
	b.get("/start").want200(t)
	id := b.id()
	for range 2 {
		if err := a.Revoke(t.Context(), id); err != nil {
			t.Errorf("Revoke: %v", err)
		}
		if err := a.store.Delete(t.Context(), mustID(id)); err != nil {
			t.Errorf("Delete: %v", err)
		}
	}
}

// testLoadedStays: neither the caller, nor another request, nor the store
// changes what a request has loaded.
func testLoadedStays(t *testing.T, open func(*testing.T) backend.Store) {
	type seen struct{ first, second, third string }
	var got seen
	read := func(s *session.Session) string {
		raw, _ := session.Get[[]byte](s, "raw")
		text := string(raw)
		for i := range raw {
			raw[i] = 'X' // it is ours
		}
		return text
	}
	proceed, reached := make(chan struct{}), make(chan struct{})
	a := newStage(t, session.Config{Store: open(t)}, map[string]deed{
		"raw": func(s *session.Session) error { s.Set("raw", []byte("hello")); return nil },
		"other": func(s *session.Session) error {
			s.Set("raw", []byte("other"))
			s.Set("more", strings.Repeat("y", 5000))
			return nil
		},
		"read": func(s *session.Session) error {
			got.first = read(s)
			close(reached)
			<-proceed
			got.second = read(s)
			err := s.Reload()
			got.third = read(s)
			return err
		},
	})
	b := a.browser(t)
	b.get("/raw").want200(t)
	rec, err := a.store.Load(t.Context(), mustID(b.id()))
	if err != nil {
		t.Fatal(err)
	}
	data := bytes.Clone(rec.Data)
	result := b.send("/read")
	<-reached
	b.twin().get("/other").want200(t)
	close(proceed)
	(<-result).want200(t)
	if want := (seen{"hello", "hello", "other"}); got != want {
		t.Errorf("the handler read %+v, want %+v", got, want)
	}
	b.get("/logout").want200(t)
	if !bytes.Equal(rec.Data, data) {
		t.Error("the Data of a loaded record has changed")
	}
}

// pair are two managers, each with a store of its own at one place.
func pair(t *testing.T, k kind) (here, there *app) {
	t.Helper()
	path := k.fresh(t)
	one := k.openAt(t, path)
	two := one
	if k.lasts {
		two = k.openAt(t, path)
	}
	return newStage(t, session.Config{Store: one}, nil), newStage(t, session.Config{Store: two}, nil)
}

func testTwoManagers(t *testing.T, k kind) {
	here, there := pair(t, k)
	b, other := here.browser(t), there.browser(t)
	b.get("/start").want200(t)
	other.setToken(b.token())
	other.wantState(`"" a=1 cart=tea`)
	other.get("/set").want200(t)
	b.wantState(`"" a=1 cart=tea late=true`)
	other.get("/login").want200(t)
	b.wantState("none")
	there.wantSessions(t, "ada", other.id())
	here.wantSessions(t, "ada", other.id())
	b.setToken(other.token())
	b.get("/logout").want200(t).wantRemoval(t)
	other.wantState("none")
	here.wantSessions(t, "ada")
}

func testRestart(t *testing.T, k kind) {
	path := k.fresh(t)
	var token, want string
	for round := range 3 {
		store, err := backend.Open(k.name, path)
		if err != nil {
			t.Fatal(err)
		}
		m := newStage(t, session.Config{Store: store}, nil)
		b := m.browser(t)
		b.setToken(token)
		if round > 0 {
			if !k.lasts {
				want = "none"
			}
			b.wantState(want)
		}
		b.get("/start").want200(t)
		b.get("/login").want200(t)
		b.get("/update").want200(t)
		token, want = b.token(), b.state()
		m.server.Close()
		if err := m.Manager.Close(); err != nil {
			t.Error(err)
		}
		if c, ok := store.(interface{ Close() error }); ok {
			if err := c.Close(); err != nil {
				t.Errorf("close the store: %v", err)
			}
		}
		if k.lasts && !strings.Contains(want, fmt.Sprintf("n=%d", round+1)) {
			t.Errorf("after %d restarts the session is %s", round, want)
		}
	}
}

// testOpenedAtOnce: several instances start at one empty place.
func testOpenedAtOnce(t *testing.T, k kind) {
	path := k.fresh(t)
	var wg sync.WaitGroup
	managers := make([]*session.Manager, 6)
	for i := range managers {
		wg.Go(func() {
			var err error
			if managers[i], err = session.New(session.Config{Provider: k.name, SavePath: path}); err != nil {
				t.Errorf("New: %v", err)
			}
		})
	}
	wg.Wait()
	for _, m := range managers {
		if m == nil {
			continue
		}
		if _, err := m.Sessions(t.Context(), "ada"); err != nil {
			t.Errorf("Sessions: %v", err)
		}
		if err := m.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}

func testBadSavePaths(t *testing.T) {
	taken := filepath.Join(t.TempDir(), "taken")
	if err := os.WriteFile(taken, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []session.Config{
		{Provider: "file", SavePath: taken},
		{Provider: "file", SavePath: filepath.Join(taken, "below")},
		{Provider: "file", SavePath: "nul\x00path"},
		{Provider: "memory", SavePath: "secret@somewhere"},
		{Provider: "redis", SavePath: "redis://u:secret@127.0.0.1:0/x"},
		{Provider: "redis", SavePath: "127.0.0.1:6379,many,secret"},
		{Provider: "mysql", SavePath: "u:secret@tcp(127.0.0.1:0/db"},
		{Provider: "mysql", SavePath: "u:secret@nonet(127.0.0.1:1)/db?x=%zz"},
	} {
		m, err := session.New(c)
		if err == nil {
			m.Close()
			t.Errorf("New(%s, %q): no error", c.Provider, c.SavePath)
			continue
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("New(%s): the error has the password: %v", c.Provider, err)
		}
	}
	if text, err := os.ReadFile(taken); err != nil || string(text) != "mine" {
		t.Errorf("the file at the save path is %q, %v", text, err)
	}
}

// fileStage is a stage on the file backend, at a known directory.
func fileStage(t *testing.T) (*app, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "sessions")
	store, err := backend.Open("file", dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.(interface{ Close() error }).Close() })
	return newStage(t, session.Config{Store: store, SweepEvery: -1}, endDeeds), dir
}

// files returns the regular files below dir whose content is not a lock's.
func files(t *testing.T, dir string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// testForeignFiles: what the store did not make stays, whatever it is called.
func testForeignFiles(t *testing.T) {
	a, dir := fileStage(t)
	b := a.browser(t)
	before := files(t, dir)
	b.get("/start").want200(t)
	id := b.id()
	var own string
	for _, path := range files(t, dir) {
		if !slices.Contains(before, path) {
			own = path
		}
	}
	if own == "" {
		t.Fatal("the session has no file")
	}
	shard := filepath.Dir(own)
	foreign := map[string]string{}
	for i, name := range []string{
		filepath.Join(dir, "README"), filepath.Join(shard, "notes.txt"), filepath.Join(shard, ".hidden"), filepath.Join(shard, "x.tmp"),
		filepath.Join(dir, filepath.Base(own)), filepath.Join(shard, "01890a5d-ac96-774b-bcce-b302099a8057"),
		filepath.Join(shard, filepath.Base(own)+".bak"), filepath.Join(shard, "empty"),
	} {
		foreign[name] = strings.Repeat("not a session\n", i)
		if err := os.WriteFile(name, []byte(foreign[name]), 0o600); err != nil {
			t.Fatal(err)
		}
		old := time.Now().Add(-1000 * time.Hour)
		if err := os.Chtimes(name, old, old); err != nil {
			t.Fatal(err)
		}
	}
	b.get("/idle").want200(t)
	a.gone(t, id)
	for range 3 {
		if _, err := a.Sweep(t.Context()); err != nil {
			t.Errorf("Sweep: %v", err)
		}
	}
	if _, err := os.Stat(own); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the expired session's file: %v, want it gone", err)
	}
	for name, text := range foreign {
		if got, err := os.ReadFile(name); err != nil || string(got) != text {
			t.Errorf("foreign file %s: %v", name, err)
		}
	}
}

// testLinks: a link in the place of a session's file or directory is not
// followed, for reading, writing or removing.
func testLinks(t *testing.T) {
	a, dir := fileStage(t)
	b := a.browser(t)
	b.get("/start").want200(t)
	id := b.id()
	var own string
	for _, path := range files(t, dir) {
		if strings.Contains(strings.ReplaceAll(path, "-", ""), strings.ReplaceAll(id, "-", "")[8:]) {
			own = path
		}
	}
	if own == "" {
		t.Fatalf("no file of %s in %q", id, files(t, dir))
	}
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.Rename(own, outside); err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadFile(outside)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, own); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/show", "/set", "/update", "/logout"} {
		visitor := b.twin()
		got := visitor.get(path)
		if strings.Contains(got.body, "tea") {
			t.Errorf("%s: a link was followed: %q", path, got.body)
		}
	}
	if err := a.Revoke(t.Context(), id); err != nil {
		t.Logf("Revoke of a link: %v", err)
	}
	if _, err := a.Sweep(t.Context()); err != nil {
		t.Errorf("Sweep: %v", err)
	}
	if text, err := os.ReadFile(outside); err != nil || !bytes.Equal(text, kept) {
		t.Errorf("the file outside has changed (%v)", err)
	}
}

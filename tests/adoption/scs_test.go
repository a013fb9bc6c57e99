package adoption

import (
	"encoding/gob"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/pgxstore"
	"github.com/alexedwards/scs/postgresstore"
	"github.com/alexedwards/scs/sqlite3store"
	oldscs "github.com/alexedwards/scs/v2"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/chisession/session"
	"github.com/chisession/session/migrate"
	"github.com/chisession/session/migrate/scs"
)

func init() { gob.Register(cart{}) }

// An scsPlace is a store of scs and the source for what is in it.
type scsPlace struct {
	store  oldscs.Store
	source migrate.Source
}

// As the stores' documentation has them.
const (
	postgresTable = "CREATE TABLE sessions (token TEXT PRIMARY KEY, data BYTEA NOT NULL, expiry TIMESTAMPTZ NOT NULL);" +
		"CREATE INDEX sessions_expiry_idx ON sessions (expiry)"
	sqliteTable = "CREATE TABLE sessions (token TEXT PRIMARY KEY, data BLOB NOT NULL, expiry REAL NOT NULL);" +
		"CREATE INDEX sessions_expiry_idx ON sessions(expiry)"
)

// scsPlaces open a place each. No store collects in the background.
var scsPlaces = map[string]func(t *testing.T) scsPlace{
	"pgxstore": func(t *testing.T) scsPlace {
		pool, err := pgxpool.New(background, database(t))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		if _, err := pool.Exec(background, postgresTable); err != nil {
			t.Fatal(err)
		}
		db := stdlib.OpenDBFromPool(pool)
		t.Cleanup(func() { db.Close() })
		return scsPlace{pgxstore.NewWithCleanupInterval(pool, 0), scs.Postgres(db, "")}
	},
	"postgresstore": func(t *testing.T) scsPlace {
		db := open(t, "pgx", database(t), postgresTable)
		return scsPlace{postgresstore.NewWithCleanupInterval(db, 0), scs.Postgres(db, "sessions")}
	},
	"sqlite3store": func(t *testing.T) scsPlace {
		db := open(t, "sqlite", filepath.Join(t.TempDir(), "old.db"), sqliteTable)
		db.SetMaxOpenConns(1) // as whoever has several writers does
		return scsPlace{sqlite3store.NewWithCleanupInterval(db, 0), scs.SQLite(db, "")}
	},
}

// eachScs runs f in each of them.
func eachScs(t *testing.T, f func(t *testing.T, p scsPlace)) {
	for name, place := range scsPlaces {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, place(t))
		})
	}
}

// oldLogin logs in to the old application and returns the browser's cookies.
func oldLogin(t *testing.T, sm *oldscs.SessionManager) []*http.Cookie {
	t.Helper()
	h := sm.LoadAndSave(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if err := sm.RenewToken(r.Context()); err != nil {
			t.Error(err)
		}
		sm.Put(r.Context(), "user", "ann")
		sm.Put(r.Context(), "n", 42)
		sm.Put(r.Context(), "cart", cart{[]string{"tea"}})
	}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("POST", "https://shop.example/login", nil))
	cookies := w.Result().Cookies()
	if w.Code != http.StatusOK || len(cookies) != 1 {
		t.Fatalf("the old login is answered %d, with %d cookies", w.Code, len(cookies))
	}
	return cookies
}

func scsManager(store oldscs.Store) *oldscs.SessionManager {
	sm := oldscs.New()
	sm.Store = store
	return sm
}

func adoptScs(source migrate.Source) func(*session.Manager, migrate.Options) func(http.Handler) http.Handler {
	return func(m *session.Manager, opts migrate.Options) func(http.Handler) http.Handler {
		return scs.Adopt(m, source, opts)
	}
}

// TestScsUsersStayLoggedIn: at the first request to the new application, once,
// and until the old deadline.
func TestScsUsersStayLoggedIn(t *testing.T) {
	eachScs(t, func(t *testing.T, p scsPlace) {
		sm := scsManager(p.store)
		sm.Lifetime = 20 * time.Minute
		earliest := time.Now().Add(sm.Lifetime)
		old := oldLogin(t, sm)
		latest := time.Now().Add(sm.Lifetime)
		m, h := application(t, adoptScs(p.source))
		body, cookies := browse(h, old)
		if body != known {
			t.Fatalf("the first request after the move is answered %q, want %q", body, known)
		}
		if body, _ := browse(h, cookies); body != known {
			t.Errorf("the second one is answered %q", body)
		}
		if _, found, err := p.store.Find(old[0].Value); found || err != nil {
			t.Errorf("the old record is there: %v, %v", found, err)
		}
		infos, err := m.Sessions(background, "ann")
		if err != nil || len(infos) != 1 {
			t.Fatalf("Sessions: %v, %v", infos, err)
		}
		if ends := infos[0].ExpiresAt; ends.After(latest.Add(time.Second)) || ends.Before(earliest.Add(-time.Minute)) {
			t.Errorf("the new session ends at %v, want the end of the old one, from %v to %v", ends, earliest, latest)
		}
		if n, err := m.RevokeUser(background, "ann"); n != 1 || err != nil {
			t.Errorf("RevokeUser: %d, %v", n, err)
		}
		if body, _ := browse(h, old); body == known {
			t.Error("the old cookie logs in again")
		}
	})
}

// TestScsOnce: of many requests at once, in several processes, one adopts.
func TestScsOnce(t *testing.T) {
	eachScs(t, func(t *testing.T, p scsPlace) {
		old := oldLogin(t, scsManager(p.store))
		m, h := application(t, adoptScs(p.source))
		again := m.Middleware(scs.Adopt(m, p.source, migrate.Options{Adopted: login})(http.HandlerFunc(show)))
		var wg sync.WaitGroup
		for i := range 12 {
			wg.Go(func() { browse([]http.Handler{h, again}[i%2], old) })
		}
		wg.Wait()
		if infos, err := m.Sessions(background, "ann"); err != nil || len(infos) != 1 {
			t.Errorf("ann has %d sessions, %v; want 1", len(infos), err)
		}
	})
}

// TestScsNotAdopted: what has expired, what was destroyed, what is damaged and
// who only claims to be somebody.
func TestScsNotAdopted(t *testing.T) {
	eachScs(t, func(t *testing.T, p scsPlace) {
		sm := scsManager(p.store)
		sm.Lifetime = 50 * time.Millisecond
		short := oldLogin(t, sm)
		damaged := oldLogin(t, scsManager(p.store))
		if err := p.store.Commit(damaged[0].Value, []byte("\x05damage"), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		gone := oldLogin(t, scsManager(p.store))
		if err := p.store.Delete(gone[0].Value); err != nil {
			t.Fatal(err)
		}
		live := oldLogin(t, scsManager(p.store))
		guess := *live[0]
		if another := "A" + guess.Value[1:]; another != guess.Value {
			guess.Value = another
		} else {
			guess.Value = "B" + guess.Value[1:]
		}
		time.Sleep(100 * time.Millisecond)
		m, h := application(t, adoptScs(p.source))
		for name, cookies := range map[string][]*http.Cookie{"expired": short, "damaged": damaged, "destroyed": gone, "guessed": {&guess}} {
			if body, _ := browse(h, cookies); body == known {
				t.Errorf("the %s session is adopted: %q", name, body)
			}
		}
		if n, err := m.Count(background); n != 0 || err != nil {
			t.Errorf("%d sessions, %v; want none", n, err)
		}
		if survey, err := p.source.(migrate.Surveyor).Survey(background, ""); err != nil || survey.Live != 2 || survey.Expired != 1 {
			t.Errorf("Survey: %+v, %v; want 2 live and 1 expired", survey, err)
		}
	})
}

// TestScsHashed: a manager with HashTokenInStore.
func TestScsHashed(t *testing.T) {
	eachScs(t, func(t *testing.T, p scsPlace) {
		sm := scsManager(p.store)
		sm.HashTokenInStore = true
		old := oldLogin(t, sm)
		_, h := application(t, adoptScs(scs.Hashed(p.source)))
		if body, _ := browse(h, old); body != known {
			t.Errorf("answered %q, want %q", body, known)
		}
	})
}

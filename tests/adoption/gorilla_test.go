package adoption

import (
	"context"
	"database/sql"
	"encoding/base32"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/securecookie"
	"github.com/gorilla/sessions"

	"github.com/chisession/session"
	"github.com/chisession/session/migrate"
	"github.com/chisession/session/migrate/gorilla"
)

const httpSessions = `CREATE TABLE http_sessions (
	id BIGSERIAL PRIMARY KEY,
	key BYTEA,
	data BYTEA,
	created_on TIMESTAMPTZ DEFAULT CURRENT_TIMESTAMP,
	modified_on TIMESTAMPTZ,
	expires_on TIMESTAMPTZ);
	CREATE INDEX http_sessions_expiry_idx ON http_sessions (expires_on);
	CREATE INDEX http_sessions_key_idx ON http_sessions (key)`

// A pgStore writes what pgstore writes, on gorilla/sessions and
// gorilla/securecookie themselves; pgstore itself cannot be had from every module
// proxy.
type pgStore struct {
	db     *sql.DB
	codecs []securecookie.Codec
	maxAge int
}

func (s *pgStore) Get(r *http.Request, name string) (*sessions.Session, error) {
	return sessions.GetRegistry(r).Get(s, name)
}

func (s *pgStore) New(r *http.Request, name string) (*sessions.Session, error) {
	old := sessions.NewSession(s, name)
	old.Options = &sessions.Options{Path: "/", MaxAge: s.maxAge}
	old.IsNew = true
	c, err := r.Cookie(name)
	if err != nil {
		return old, nil
	}
	if err := securecookie.DecodeMulti(name, c.Value, &old.ID, s.codecs...); err != nil {
		return old, err
	}
	var data []byte
	err = s.db.QueryRow("SELECT data FROM http_sessions WHERE key = $1 AND expires_on > now()", []byte(old.ID)).Scan(&data)
	if err == nil {
		err = securecookie.DecodeMulti(name, string(data), &old.Values, s.codecs...)
	}
	old.IsNew = err != nil
	return old, nil
}

func (s *pgStore) Save(r *http.Request, w http.ResponseWriter, old *sessions.Session) error {
	if old.ID == "" {
		old.ID = strings.TrimRight(base32.StdEncoding.EncodeToString(securecookie.GenerateRandomKey(32)), "=")
	}
	data, err := securecookie.EncodeMulti(old.Name(), old.Values, s.codecs...)
	if err != nil {
		return err
	}
	expires := time.Now().Add(time.Duration(s.maxAge) * time.Second)
	_, err = s.db.Exec("INSERT INTO http_sessions (key, data, created_on, modified_on, expires_on) VALUES ($1, $2, now(), now(), $3)",
		[]byte(old.ID), []byte(data), expires)
	if err != nil {
		return err
	}
	encoded, err := securecookie.EncodeMulti(old.Name(), old.ID, s.codecs...)
	if err != nil {
		return err
	}
	http.SetCookie(w, sessions.NewCookie(old.Name(), encoded, old.Options))
	return nil
}

func newPgStore(t *testing.T, keys ...[]byte) *pgStore {
	t.Helper()
	return &pgStore{open(t, "pgx", database(t), httpSessions), securecookie.CodecsFromPairs(keys...), 1200}
}

// login logs in to the old application and returns the browser's cookies.
func (s *pgStore) login(t *testing.T) []*http.Cookie {
	t.Helper()
	r := httptest.NewRequest("POST", "https://shop.example/login", nil)
	w := httptest.NewRecorder()
	old, err := s.Get(r, "shop")
	if err != nil {
		t.Fatal(err)
	}
	old.Values["user"], old.Values["n"], old.Values["cart"] = "ann", 42, cart{[]string{"tea"}}
	if err := old.Save(r.WithContext(context.WithoutCancel(r.Context())), w); err != nil {
		t.Fatal(err)
	}
	return w.Result().Cookies()
}

func (s *pgStore) records(t *testing.T) (n int) {
	t.Helper()
	if err := s.db.QueryRow("SELECT count(*) FROM http_sessions").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func adoptGorilla(old *gorilla.Sessions) func(*session.Manager, migrate.Options) func(http.Handler) http.Handler {
	return func(m *session.Manager, opts migrate.Options) func(http.Handler) http.Handler {
		return gorilla.Adopt(m, old, opts)
	}
}

var (
	signing    = securecookie.GenerateRandomKey(64)
	encryption = securecookie.GenerateRandomKey(32)
	other      = securecookie.GenerateRandomKey(64)
)

func TestGorillaUsersStayLoggedIn(t *testing.T) {
	for name, keys := range map[string][][]byte{"signed": {signing}, "encrypted": {signing, encryption}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := newPgStore(t, keys...)
			old := store.login(t)
			// A new key was put before the old ones meanwhile.
			codecs := append(securecookie.CodecsFromPairs(other), store.codecs...)
			m, h := application(t, adoptGorilla(gorilla.Postgres(store.db, "", "shop", codecs...)))
			body, cookies := browse(h, old)
			if body != known {
				t.Fatalf("the first request after the move is answered %q, want %q", body, known)
			}
			if body, _ := browse(h, cookies); body != known {
				t.Errorf("the second one is answered %q", body)
			}
			if n := store.records(t); n != 0 {
				t.Errorf("%d old records are there", n)
			}
			infos, err := m.Sessions(background, "ann")
			if err != nil || len(infos) != 1 {
				t.Fatalf("Sessions: %v, %v", infos, err)
			}
			if late := time.Until(infos[0].ExpiresAt) - 1200*time.Second; late > time.Second || late < -time.Minute {
				t.Errorf("the new session ends %v after the old one", late)
			}
			if n, err := m.RevokeUser(background, "ann"); n != 1 || err != nil {
				t.Errorf("RevokeUser: %d, %v", n, err)
			}
			if body, _ := browse(h, old); body == known {
				t.Error("the old cookie logs in again")
			}
		})
	}
}

func TestGorillaOnce(t *testing.T) {
	t.Parallel()
	store := newPgStore(t, signing)
	old := store.login(t)
	m, h := application(t, adoptGorilla(gorilla.Postgres(store.db, "public.HTTP_Sessions", "shop", store.codecs...)))
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() { browse(h, old) })
	}
	wg.Wait()
	if infos, err := m.Sessions(background, "ann"); err != nil || len(infos) != 1 {
		t.Errorf("ann has %d sessions, %v; want 1", len(infos), err)
	}
}

// TestGorillaEndless: a row that somebody has made live for ever is adopted, too.
func TestGorillaEndless(t *testing.T) {
	t.Parallel()
	store := newPgStore(t, signing)
	old := store.login(t)
	if _, err := store.db.Exec("UPDATE http_sessions SET expires_on = 'infinity'"); err != nil {
		t.Fatal(err)
	}
	_, h := application(t, adoptGorilla(gorilla.Postgres(store.db, "", "shop", store.codecs...)))
	if body, _ := browse(h, old); body != known {
		t.Errorf("the first request after the move is answered %q, want %q", body, known)
	}
	if n := store.records(t); n != 0 {
		t.Errorf("%d old records are there", n)
	}
}

// TestGorillaNotAdopted: what has expired, what other keys signed, in the cookie
// or in the row, and what is damaged.
func TestGorillaNotAdopted(t *testing.T) {
	t.Parallel()
	store := newPgStore(t, signing)
	store.maxAge = -5
	expired := store.login(t)
	store.maxAge = 1200
	damaged := store.login(t)
	if _, err := store.db.Exec("UPDATE http_sessions SET data = substring(data FOR 20) WHERE expires_on > now()"); err != nil {
		t.Fatal(err)
	}
	good := store.codecs
	store.codecs = securecookie.CodecsFromPairs(other)
	forged := store.login(t)
	store.codecs = good
	source := gorilla.Postgres(store.db, "", "shop", store.codecs...)
	m, h := application(t, adoptGorilla(source))
	for name, cookies := range map[string][]*http.Cookie{"expired": expired, "damaged": damaged, "forged": forged} {
		if body, _ := browse(h, cookies); body == known {
			t.Errorf("the %s session is adopted: %q", name, body)
		}
	}
	if n, err := m.Count(background); n != 0 || err != nil {
		t.Errorf("%d sessions, %v; want none", n, err)
	}
	if survey, err := source.Survey(background, ""); err != nil || survey.Live != 2 || survey.Expired != 1 {
		t.Errorf("Survey: %+v, %v; want 2 live and 1 expired", survey, err)
	}
}

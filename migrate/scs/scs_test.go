//go:build servers

package scs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/gob"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"
	"github.com/gomodule/redigo/redis"

	"github.com/chisession/session"
	"github.com/chisession/session/cookie"
	"github.com/chisession/session/migrate"
)

var background = context.Background()

// A place is one of scs's stores, as a test sees it.
type place struct {
	name   string
	source migrate.Source
	put    func(t *testing.T, token string, data []byte, expiry time.Time)
	has    func(t *testing.T, token string) bool
}

func places(t *testing.T) []place { return []place{inRedis(t), inMySQL(t)} }

func inRedis(t *testing.T) place {
	t.Helper()
	pool := &redis.Pool{Dial: redisServer.Dial, MaxIdle: 4}
	t.Cleanup(func() { pool.Close() })
	return place{"redis", Redis(pool, ""),
		func(t *testing.T, token string, data []byte, expiry time.Time) {
			t.Helper()
			if _, err := redisServer.Do("SET", "scs:session:"+token, data, "PXAT", expiry.UnixMilli()); err != nil {
				t.Fatal(err)
			}
		},
		func(t *testing.T, token string) bool {
			t.Helper()
			n, err := redis.Int(redisServer.Do("EXISTS", "scs:session:"+token))
			if err != nil {
				t.Fatal(err)
			}
			return n == 1
		},
	}
}

func inMySQL(t *testing.T) place {
	t.Helper()
	name, err := mariaDB.CreateDatabase()
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("mysql", mariaDB.DSN(name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	// As mysqlstore's documentation has it.
	if _, err := db.Exec("CREATE TABLE sessions (token CHAR(43) PRIMARY KEY, data BLOB NOT NULL, expiry TIMESTAMP(6) NOT NULL)"); err != nil {
		t.Fatal(err)
	}
	return place{"mysql", MySQL(db, ""),
		func(t *testing.T, token string, data []byte, expiry time.Time) {
			t.Helper()
			if _, err := db.Exec("INSERT INTO sessions (token, data, expiry) VALUES (?, ?, ?)", token, data, expiry.UTC()); err != nil {
				t.Fatal(err)
			}
		},
		func(t *testing.T, token string) bool {
			t.Helper()
			var n int
			if err := db.QueryRow("SELECT COUNT(*) FROM sessions WHERE token = ?", token).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n == 1
		},
	}
}

// encode does what GobCodec of scs does.
func encode(t testing.TB, deadline time.Time, values map[string]any) []byte {
	t.Helper()
	aux := &struct {
		Deadline time.Time
		Values   map[string]any
	}{deadline, values}
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(&aux); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

type cart struct{ Items []string }

func init() {
	gob.Register(cart{})
	gob.Register(time.Time{})
}

var values = map[string]any{"user": "ann", "n": 42, "when": time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC), "cart": cart{[]string{"a"}}}

const all = "ann 42 2024-01-02 03:04:05 +0000 UTC {[a]}"

func show(w http.ResponseWriter, r *http.Request) {
	s := session.FromContext(r)
	items, _ := session.Get[cart](s, "cart")
	fmt.Fprint(w, s.User(), " ", s.Get("n"), " ", s.Get("when"), " ", items)
}

func login(_ *http.Request, s *session.Session, old map[string]any) error {
	if user, ok := old["user"].(string); ok {
		s.SetUser(user)
	}
	return nil
}

// application has scs's cookie name, too.
func application(t *testing.T, source migrate.Source) (*session.Manager, http.Handler) {
	t.Helper()
	m, err := session.New(session.Config{Cookie: cookie.Options{Name: DefaultCookieName}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m, process(m, source)
}

func process(m *session.Manager, source migrate.Source) http.Handler {
	return m.Middleware(Adopt(m, source, migrate.Options{Adopted: login})(http.HandlerFunc(show)))
}

func get(h http.Handler, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", "https://shop.example/", nil)
	r.Header.Set("Cookie", DefaultCookieName+"="+token)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// token returns one as scs makes it.
func token(seed string) string {
	sum := sha256.Sum256([]byte(seed))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func TestStaysLoggedIn(t *testing.T) {
	for _, p := range places(t) {
		t.Run(p.name, func(t *testing.T) {
			deadline := time.Now().Add(20 * time.Minute)
			p.put(t, token("ann"), encode(t, deadline, values), deadline)
			m, h := application(t, p.source)
			w := get(h, token("ann"))
			cookies := w.Result().Cookies()
			if w.Body.String() != all || len(cookies) != 1 {
				t.Fatalf("answer %q with the cookies %v, want %q and one", w.Body, cookies, all)
			}
			if again := get(h, cookies[0].Value); again.Body.String() != all {
				t.Errorf("with the new token: %q", again.Body)
			}
			if p.has(t, token("ann")) {
				t.Error("the old record is still there")
			}
			infos, err := m.Sessions(background, "ann")
			if err != nil || len(infos) != 1 {
				t.Fatalf("Sessions: %v, %v", infos, err)
			}
			if late := infos[0].ExpiresAt.Sub(deadline); late > time.Second || late < -time.Minute {
				t.Errorf("the new session ends %v after the old one", late)
			}
			if n, err := m.RevokeUser(background, "ann"); n != 1 || err != nil {
				t.Errorf("RevokeUser: %d, %v", n, err)
			}
			if w := get(process(m, p.source), token("ann")); strings.Contains(w.Body.String(), "ann") {
				t.Errorf("the old token still works: %q", w.Body)
			}
		})
	}
}

func TestNotAdopted(t *testing.T) {
	for _, p := range places(t) {
		t.Run(p.name, func(t *testing.T) {
			later, past := time.Now().Add(time.Hour), time.Now().Add(-time.Second)
			good := encode(t, later, values)
			p.put(t, token("expired"), good, past)
			p.put(t, token("deadline"), encode(t, past, values), later)
			p.put(t, token("cut"), good[:len(good)-9], later)
			p.put(t, token("junk"), bytes.Repeat([]byte{0xf8}, 60000), later)
			p.put(t, token("case"), good, later)
			m, h := application(t, p.source)
			other := strings.Map(func(r rune) rune { // the same to a collation without case
				if s := string(r); strings.ToLower(s) != s {
					return rune(strings.ToLower(s)[0])
				}
				return rune(strings.ToUpper(string(r))[0])
			}, token("case"))
			for _, one := range []string{token("expired"), token("deadline"), token("cut"), token("junk"), token("absent"), other, "short", strings.Repeat("%", 43), strings.Repeat("../", 14) + "a"} {
				if w := get(h, one); w.Code != 200 || strings.Contains(w.Body.String(), "ann") {
					t.Errorf("%s: %d %q", one, w.Code, w.Body)
				}
			}
			if n, err := m.Count(background); n != 0 || err != nil {
				t.Errorf("Count is %d, %v", n, err)
			}
		})
	}
}

func TestAdoptedOnce(t *testing.T) {
	for _, p := range places(t) {
		t.Run(p.name, func(t *testing.T) {
			deadline := time.Now().Add(time.Hour)
			p.put(t, token("once"), encode(t, deadline, values), deadline)
			m, h := application(t, p.source)
			processes := []http.Handler{h, process(m, p.source), process(m, p.source)}
			var wg sync.WaitGroup
			start := make(chan struct{})
			for i := range 18 {
				wg.Go(func() {
					<-start
					get(processes[i%len(processes)], token("once"))
				})
			}
			close(start)
			wg.Wait()
			if n, err := m.Count(background); n != 2 || err != nil { // with the mark of the adoption
				t.Errorf("Count is %d, %v", n, err)
			}
		})
	}
}

func TestHashed(t *testing.T) {
	for _, p := range places(t) {
		t.Run(p.name, func(t *testing.T) {
			deadline := time.Now().Add(time.Hour)
			p.put(t, token("the token"), encode(t, deadline, values), deadline)
			secret := token("hashed")
			p.put(t, hash(secret), encode(t, deadline, values), deadline)
			_, h := application(t, Hashed(p.source))
			if w := get(h, secret); w.Body.String() != all || p.has(t, hash(secret)) {
				t.Errorf("answer %q, the record is there: %v", w.Body, p.has(t, hash(secret)))
			}
			if w := get(h, token("the token")); strings.Contains(w.Body.String(), "ann") {
				t.Error("a key of the store is taken for a token")
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(f, time.Unix(1, 0), values))
	f.Add(encode(f, time.Time{}, nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		rec, err := format.Decode(data, 4096)
		if err == nil && len(data) > 4096 {
			t.Errorf("%d bytes are read, 4096 allowed; %d values", len(data), len(rec.Values))
		}
	})
}

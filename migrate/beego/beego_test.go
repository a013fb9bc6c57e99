//go:build servers

package beego

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	_ "github.com/go-sql-driver/mysql"
	"github.com/gomodule/redigo/redis"

	"github.com/chisession/session"
	sessionredis "github.com/chisession/session/backend/redis"
	"github.com/chisession/session/conf"
	"github.com/chisession/session/migrate"
	"github.com/chisession/session/sessiontest"
)

var background = context.Background()

// A place is one of Beego's stores, as a test sees it.
type place struct {
	name   string
	source migrate.Source
	put    func(t *testing.T, id string, data []byte, age time.Duration) // last used that long ago
	has    func(t *testing.T, id string) bool
}

func places(t *testing.T) []place { return []place{inRedis(t), inMySQL(t), inFiles(t)} }

func inRedis(t *testing.T) place {
	t.Helper()
	pool := &redis.Pool{Dial: redisServer.Dial, MaxIdle: 4}
	t.Cleanup(func() { pool.Close() })
	return place{"redis", Redis(pool),
		func(t *testing.T, id string, data []byte, age time.Duration) {
			t.Helper()
			left := DefaultLifetime - age
			if left <= 0 {
				return // the server has removed it
			}
			if _, err := redisServer.Do("SET", id, data, "PX", left.Milliseconds()); err != nil {
				t.Fatal(err)
			}
		},
		func(t *testing.T, id string) bool {
			t.Helper()
			n, err := redis.Int(redisServer.Do("EXISTS", id))
			if err != nil {
				t.Fatal(err)
			}
			return n == 1
		},
	}
}

func inMySQL(t *testing.T) place {
	t.Helper()
	p, _ := inMySQLAt(t)
	return p
}

// inMySQLAt returns the DSN, too.
func inMySQLAt(t *testing.T) (place, string) {
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
	exec := func(t *testing.T, query string, args ...any) {
		t.Helper()
		if _, err := db.Exec(query, args...); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	// As Beego's documentation has it.
	exec(t, "CREATE TABLE `session` (`session_key` char(64) NOT NULL, `session_data` blob,"+
		" `session_expiry` int(11) unsigned NOT NULL, PRIMARY KEY (`session_key`)) ENGINE=MyISAM DEFAULT CHARSET=utf8")
	return place{"mysql", MySQL(db, "", 0),
		func(t *testing.T, id string, data []byte, age time.Duration) {
			t.Helper()
			exec(t, "INSERT INTO `session` VALUES (?, ?, ?)", id, data, time.Now().Add(-age).Unix())
		},
		func(t *testing.T, id string) bool {
			t.Helper()
			var n int
			if err := db.QueryRow("SELECT COUNT(*) FROM `session` WHERE session_key = ?", id).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n == 1
		},
	}, mariaDB.DSN(name)
}

func inFiles(t *testing.T) place {
	t.Helper()
	dir := t.TempDir()
	source, err := Files(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { source.Close() })
	at := func(id string) string { return filepath.Join(dir, id[:1], id[1:2], id) }
	return place{"files", source,
		func(t *testing.T, id string, data []byte, age time.Duration) {
			t.Helper()
			used := time.Now().Add(-age)
			err := errors.Join(os.MkdirAll(filepath.Dir(at(id)), 0o755), os.WriteFile(at(id), data, 0o644), os.Chtimes(at(id), used, used))
			if err != nil {
				t.Fatal(err)
			}
		},
		func(t *testing.T, id string) bool {
			_, err := os.Lstat(at(id))
			return err == nil
		},
	}
}

// encode does what Beego does to store a session.
func encode(t testing.TB, values map[any]any) []byte {
	t.Helper()
	for _, v := range values {
		gob.Register(v)
	}
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(values); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

type item struct {
	SKU   string
	Count int
}

var when = time.Date(2024, 2, 3, 4, 5, 6, 7, time.UTC)

func beegoValues() map[any]any {
	return map[any]any{
		"uid": 4711, "name": "Ann Ω", "admin": true, "rate": 1.25, "raw": []byte{0, 1, 255}, "seen": when, "left": time.Minute,
		"big": uint64(1) << 63, "small": int8(-8), "cart": []item{{"a", 1}, {"b", 0}}, "prefs": map[string]string{"lang": "pt"}, 7: "seven",
	}
}

// show answers with all that the session has.
func show(w http.ResponseWriter, r *http.Request) {
	s := session.FromContext(r)
	cart, _ := session.Get[[]item](s, "cart")
	prefs, _ := session.Get[map[string]string](s, "prefs")
	fmt.Fprintf(w, "%q %#v %#v %#v %#v %#v %v %#v %#v %#v %v %v %#v", s.User(), s.Get("uid"), s.Get("name"), s.Get("admin"), s.Get("rate"), s.Get("raw"),
		s.Get("seen"), s.Get("left"), s.Get("big"), s.Get("small"), cart, prefs, s.Get("7"))
}

const all = `"4711" 4711 "Ann Ω" true 1.25 []byte{0x0, 0x1, 0xff} 2024-02-03 04:05:06.000000007 +0000 UTC 60000000000 0x8000000000000000 -8 [{a 1} {b 0}] map[lang:pt] "seven"`

func login(_ *http.Request, s *session.Session, old map[string]any) error {
	if uid, ok := old["uid"].(int); ok {
		s.SetUser(fmt.Sprint(uid))
	}
	return nil
}

// application is a whole one, served over HTTP; a second call with the same
// source is another process.
func application(t *testing.T, source migrate.Source) (*session.Manager, *httptest.Server) {
	t.Helper()
	m, err := session.New(session.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m, serve(t, m, source)
}

func serve(t *testing.T, m *session.Manager, source migrate.Source) *httptest.Server {
	t.Helper()
	r := chi.NewRouter()
	r.Use(m.Middleware, Adopt(m, source, migrate.Options{Adopted: login}))
	r.Get("/", show)
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	return server
}

// browser is one that has Beego's cookie.
func browser(t *testing.T, server *httptest.Server, id string) (*http.Client, *url.URL) {
	t.Helper()
	return browserWith(t, server, DefaultCookieName, id)
}

func browserWith(t *testing.T, server *httptest.Server, cookie, id string) (*http.Client, *url.URL) {
	t.Helper()
	jar := sessiontest.NewJar()
	at, err := url.Parse(server.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	jar.SetCookies(at, []*http.Cookie{{Name: cookie, Value: id, Path: "/", MaxAge: 3 * 365 * 86400}})
	return &http.Client{Jar: jar}, at
}

func get(t *testing.T, c *http.Client, at *url.URL) (int, string) {
	t.Helper()
	r, err := c.Get(at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(text)
}

const annsID = "0123456789abcdef0123456789abcdef"

func TestStaysLoggedIn(t *testing.T) {
	for _, p := range places(t) {
		t.Run(p.name, func(t *testing.T) {
			p.put(t, annsID, encode(t, beegoValues()), time.Minute)
			m, server := application(t, p.source)
			c, at := browser(t, server, annsID)
			for range 2 {
				if code, text := get(t, c, at); code != 200 || text != all {
					t.Fatalf("answer %d\n%s, want 200\n%s", code, text, all)
				}
			}
			cookies := c.Jar.Cookies(at)
			if len(cookies) != 1 || len(cookies[0].Value) != 64 {
				t.Errorf("the browser has the cookies %v, want one of 64 characters", cookies)
			}
			if p.has(t, annsID) {
				t.Error("the old record is still there")
			}
			if infos, err := m.Sessions(background, "4711"); err != nil || len(infos) != 1 {
				t.Errorf("Sessions: %v, %v", infos, err)
			}
			// A request that the browser sent before it had the new cookie
			// gets the same session in another process.
			early, at := browser(t, serve(t, m, p.source), annsID)
			if code, text := get(t, early, at); code != 200 || text != all {
				t.Errorf("with the old cookie: %d %s", code, text)
			}
			if n, err := m.Count(background); n != 2 || err != nil { // with the mark of the adoption
				t.Errorf("Count is %d, %v", n, err)
			}
			// After a logout Beego's cookie is worth nothing at once.
			if n, err := m.RevokeUser(background, "4711"); n != 1 || err != nil {
				t.Errorf("RevokeUser: %d, %v", n, err)
			}
			thief, at := browser(t, serve(t, m, p.source), annsID)
			if code, text := get(t, thief, at); code != 200 || strings.Contains(text, "4711") {
				t.Errorf("with the old cookie, after the logout: %d %s", code, text)
			}
		})
	}
}

// Several processes and many first requests at once: one session.
func TestAdoptedOnce(t *testing.T) {
	for _, p := range places(t) {
		t.Run(p.name, func(t *testing.T) {
			const id = "ffffffffffffffffffffffffffffffff"
			p.put(t, id, encode(t, beegoValues()), 0)
			m, one := application(t, p.source)
			servers := []*httptest.Server{one, serve(t, m, p.source), serve(t, m, p.source)}
			tokens := make([]string, 24)
			start := make(chan struct{})
			var wg sync.WaitGroup
			for i := range tokens {
				c, at := browser(t, servers[i%len(servers)], id)
				wg.Go(func() {
					<-start
					r, err := c.Get(at.String())
					if err != nil {
						t.Error(err)
						return
					}
					r.Body.Close()
					for _, cookie := range r.Cookies() {
						tokens[i] = cookie.Value
					}
				})
			}
			close(start)
			wg.Wait()
			distinct := map[string]bool{}
			for _, token := range tokens {
				if token != "" {
					distinct[token] = true
				}
			}
			if len(distinct) != 1 || slices.Contains(tokens, "") {
				t.Errorf("%d different tokens were handed out, and to all: %v", len(distinct), !slices.Contains(tokens, ""))
			}
			if n, err := m.Count(background); n != 2 || err != nil { // with the mark of the adoption
				t.Errorf("Count is %d, %v", n, err)
			}
			if infos, err := m.Sessions(background, "4711"); err != nil || len(infos) != 1 {
				t.Errorf("Sessions: %v, %v", infos, err)
			}
		})
	}
}

func TestNotAdopted(t *testing.T) {
	good := encode(t, beegoValues())
	for _, p := range places(t) {
		t.Run(p.name, func(t *testing.T) {
			p.put(t, "e0000000000000000000000000000001", good, 61*time.Minute) // expired
			p.put(t, "e0000000000000000000000000000002", good[:len(good)/2], 0)
			p.put(t, "e0000000000000000000000000000003", bytes.Repeat([]byte{7}, 63<<10), 0)
			p.put(t, "e0000000000000000000000000000004", nil, 0)
			p.put(t, "e0000000000000000000000000000005", encode(t, map[any]any{}), 0)
			m, server := application(t, p.source)
			for i := range 7 { // the last two are not there
				c, at := browser(t, server, fmt.Sprintf("e%031d", i+1))
				if code, text := get(t, c, at); code != 200 || strings.Contains(text, "4711") {
					t.Errorf("%d: answer %d %s", i+1, code, text)
				}
			}
			if n, err := m.Count(background); n != 0 || err != nil {
				t.Errorf("Count is %d, %v", n, err)
			}
		})
	}
}

// spy says which IDs reach the old store.
type spy struct{ asked []string }

func (s *spy) Load(_ context.Context, id string, _ int) ([]byte, error) {
	s.asked = append(s.asked, id)
	return nil, migrate.ErrNotFound
}

func (s *spy) Remove(context.Context, string, []byte) error { return migrate.ErrChanged }

func TestMalformedIDs(t *testing.T) {
	var s spy
	m, err := session.New(session.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	h := m.Middleware(Adopt(m, &s, migrate.Options{})(http.HandlerFunc(show)))
	for _, id := range []string{
		"", "a", "../../../../../../etc/passwd.....", "..%2f..%2f0123456789abcdef012345678", "0123456789abcdef0123456789abcde/",
		strings.ToUpper(annsID), annsID + "0", annsID[1:], "0123456789abcdef0123456789abcdeg", "0123456789abcdef 123456789abcdef",
		"0123456789abcdef0123456789abcd\x00f", "%30123456789abcdef0123456789abcdef", strings.Repeat("a", 64), strings.Repeat("a", 16<<10), "'OR'1'='1'--aaaaaaaaaaaaaaaaaaaa",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Cookie", DefaultCookieName+"="+id)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 200 {
			t.Errorf("%.40q: status %d", id, w.Code)
		}
	}
	if len(s.asked) > 0 {
		t.Errorf("the old store was asked for %q", s.asked)
	}
}

func TestFilesOfOtherKinds(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "outside")
	source, err := Files(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	data := encode(t, beegoValues())
	err = errors.Join(
		os.WriteFile(outside, data, 0o644),
		os.MkdirAll(filepath.Join(dir, "0", "1", annsID+"x"), 0o755),
		os.Symlink(outside, filepath.Join(dir, "0", "1", annsID)),
		os.MkdirAll(filepath.Join(dir, "a", "b", "ab"+annsID[2:]), 0o755),
		os.Symlink(filepath.Dir(outside), filepath.Join(dir, "c")),
	)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{annsID, "ab" + annsID[2:], "cd" + annsID[2:]} {
		if _, err := source.Load(background, id, 1<<20); err == nil || strings.Contains(err.Error(), id) {
			t.Errorf("Load of %s: %v", id, err)
		}
	}
	if _, err := Files(filepath.Join(dir, "none"), 0); err == nil {
		t.Error("Files of no directory is no error")
	}
}

func TestChangedMeanwhile(t *testing.T) {
	for _, p := range places(t) {
		t.Run(p.name, func(t *testing.T) {
			const id = "c0000000000000000000000000000000"
			p.put(t, id, []byte("new"), 0)
			if err := p.source.Remove(background, id, []byte("old")); !errors.Is(err, migrate.ErrChanged) || !p.has(t, id) {
				t.Errorf("Remove of what was: %v", err)
			}
			if err := p.source.Remove(background, id, []byte("new")); err != nil || p.has(t, id) {
				t.Errorf("Remove: %v", err)
			}
			if err := p.source.Remove(background, id, []byte("new")); !errors.Is(err, migrate.ErrChanged) {
				t.Errorf("Remove of nothing: %v", err)
			}
			p.put(t, id, make([]byte, 101), 0)
			if _, err := p.source.Load(background, id, 100); !errors.Is(err, migrate.ErrUnreadable) {
				t.Errorf("Load of 101 bytes, 100 allowed: %v", err)
			}
			if data, err := p.source.Load(background, id, 101); err != nil || len(data) != 101 {
				t.Errorf("Load of 101 bytes: %d, %v", len(data), err)
			}
		})
	}
}

// loadAppConf loads an app.conf with these session keys.
func loadAppConf(t *testing.T, provider, config string) session.Config {
	t.Helper()
	t.Setenv("BEEGO_RUNMODE", "")
	path := filepath.Join(t.TempDir(), "app.conf")
	text := "appname = shop\nhttpport = 8080\nrunmode = prod\n\nsessionon = true\nsessionprovider = " + provider +
		"\nsessionproviderconfig = " + config + "\nsessiongcmaxlifetime = 7200\nsessionname = shopsid\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := conf.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// A Beego user's app.conf runs as it is, with a cookie's name of its own, and
// where it points to are the live sessions, as docs/from-beego.md has it.
func TestAppConf(t *testing.T) {
	inDB, dsn := inMySQLAt(t)
	files := inFiles(t)
	for i, at := range []struct {
		provider, config string
		place            place
		source           func(t *testing.T, cfg *session.Config) (migrate.Source, error)
	}{
		{"redis", redisServer.Addr() + ",100,,0", inRedis(t), fromRedis},
		{"Redis", `{"save_path":"` + redisServer.Addr() + `","poolsize":10,"db_num":0}`, inRedis(t), fromRedis},
		{"MySQL", dsn, inDB, func(t *testing.T, cfg *session.Config) (migrate.Source, error) {
			db, err := sql.Open("mysql", cfg.SavePath)
			if err == nil {
				t.Cleanup(func() { db.Close() })
			}
			return MySQL(db, "session", cfg.IdleTimeout), err
		}},
		{"file", files.source.(*FileSource).dir, files, func(t *testing.T, cfg *session.Config) (migrate.Source, error) {
			source, err := Files(cfg.SavePath, cfg.IdleTimeout)
			cfg.SavePath = t.TempDir() + "/sessions"
			return source, err
		}},
	} {
		t.Run(at.provider, func(t *testing.T) {
			id := fmt.Sprintf("abcdefabcdefabcdefabcdefabcd%04d", i)
			at.place.put(t, id, encode(t, beegoValues()), 0)
			cfg := loadAppConf(t, at.provider, at.config)
			source, err := at.source(t, &cfg)
			if err != nil {
				t.Fatal(err)
			}
			m, err := session.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { m.Close() })
			c, url := browserWith(t, serve(t, m, source), "shopsid", id)
			for range 2 {
				if code, text := get(t, c, url); code != 200 || text != all {
					t.Errorf("response %d %s, want %s", code, text, all)
				}
			}
			if at.place.has(t, id) {
				t.Error("the old record is still there")
			}
			infos, err := m.Sessions(background, "4711")
			if err != nil || len(infos) != 1 {
				t.Errorf("Sessions: %v, %v", infos, err)
			}
			if _, err := m.RevokeUser(background, "4711"); err != nil {
				t.Error(err)
			}
		})
	}
}

func fromRedis(t *testing.T, cfg *session.Config) (migrate.Source, error) {
	old, err := sessionredis.Connect(cfg.SavePath)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { old.Close() })
	return Redis(old.Pool()), nil
}

// The directory of Beego's own file provider is refused, with what to do.
func TestAppConfWithFilesNeedsAnotherDirectory(t *testing.T) {
	files := inFiles(t)
	files.put(t, "abcdefabcdefabcdefabcdefabcdef01", encode(t, beegoValues()), 0)
	m, err := session.New(loadAppConf(t, "file", files.source.(*FileSource).dir))
	if err == nil {
		m.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "name another directory") || !strings.Contains(err.Error(), "migrate/beego") {
		t.Errorf("New = %v, want an error that says what to do", err)
	}
}

func TestRedisOfAnotherType(t *testing.T) {
	const id = "d0000000000000000000000000000000"
	if _, err := redisServer.Do("LPUSH", id, "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := inRedis(t).source.Load(background, id, 10); !errors.Is(err, migrate.ErrUnreadable) {
		t.Errorf("Load of a list: %v", err)
	}
}

func TestTableNames(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a table's name that is none does not panic")
		}
	}()
	MySQL(nil, "session` --", 0)
}

package clusters

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	redigo "github.com/gomodule/redigo/redis"
	"github.com/google/uuid"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/goredis"
	"github.com/chisession/session/backend/redis"
	"github.com/chisession/session/backend/rueidis"
	"github.com/chisession/session/internal/testserver"
	"github.com/chisession/session/internal/visit"
)

// TestMoveBetweenBackends: who is logged in through one backend is so through the
// others, and is found and logged out by them.
func TestMoveBetweenBackends(t *testing.T) {
	several := cluster.take(t)
	must(t, "settle", several.Settle())
	server, err := testserver.StartRedis(testserver.RedisOptions{})
	must(t, "StartRedis", err)
	t.Cleanup(func() { must(t, "Stop", server.Stop()) })
	moves(t, onSentinels, server.URL())
	moves(t, onCluster, several.SavePath("prefix=moves:"))
}

func moves(t *testing.T, names []string, savePath string) {
	managers := map[string]*session.Manager{}
	for _, name := range names {
		m, err := session.New(session.Config{Provider: name, SavePath: savePath})
		must(t, "session.New", err)
		t.Cleanup(func() { must(t, "Close", m.Close()) })
		managers[name] = m
	}
	for _, first := range names {
		user := "ada of " + first
		cookie := serve(t, managers[first], nil, func(s *session.Session) { s.SetUser(user); s.Set("cart", "tea") })
		for _, then := range names {
			next := serve(t, managers[then], cookie, func(s *session.Session) {
				if s.User() != user || s.Get("cart") != "tea" {
					t.Errorf("%s, then %s: the user is %q and the cart %v", first, then, s.User(), s.Get("cart"))
				}
				s.Renew()
			})
			if next == nil {
				t.Fatalf("%s, then %s: no new token", first, then)
			}
			cookie = next
			if list, err := managers[then].Sessions(ctx, user); err != nil || len(list) != 1 {
				t.Errorf("%s, then %s: %d sessions are listed, %v; want 1", first, then, len(list), err)
			}
		}
		last := names[len(names)-1]
		if n, err := managers[last].RevokeUser(ctx, user); n != 1 || err != nil {
			t.Errorf("%s, ended by %s: %d, %v", first, last, n, err)
		}
		serve(t, managers[first], cookie, func(s *session.Session) {
			if s.User() != "" {
				t.Errorf("%s: still logged in after %s ended the session", first, last)
			}
		})
	}
}

// serve makes one request with a cookie, and returns the one that is sent back.
func serve(t *testing.T, m *session.Manager, cookie *http.Cookie, fn func(*session.Session)) *http.Cookie {
	t.Helper()
	var cookies []*http.Cookie
	if cookie != nil {
		cookies = append(cookies, cookie)
	}
	res := visit.Session(m, fn, cookies...)
	if res.StatusCode != http.StatusOK {
		t.Errorf("status %d", res.StatusCode)
	}
	for _, c := range res.Cookies() {
		return c
	}
	return nil
}

// TestSameBytes: all backends store a record as the same bytes, under the same
// keys.
func TestSameBytes(t *testing.T) {
	server, err := testserver.StartRedis(testserver.RedisOptions{})
	must(t, "StartRedis", err)
	t.Cleanup(func() { must(t, "Stop", server.Stop()) })
	rec := backend.Record{ID: uuid.Must(uuid.NewV7()), User: "ada", Data: []byte("data\x00\xff"), Expires: time.Now().Add(time.Hour).Truncate(time.Millisecond)}
	var want map[string][]byte
	for _, name := range []string{redis.Name, goredis.Name, rueidis.Name} {
		must(t, "FlushAll", server.FlushAll())
		must(t, "Create", open(t, name, server.URL()).Create(ctx, rec))
		keys, err := redigo.Strings(server.Do("KEYS", "*"))
		must(t, "KEYS", err)
		got := map[string][]byte{}
		for _, key := range keys {
			got[key], _ = redigo.Bytes(server.Do("GET", key)) // the index is no string
		}
		if want == nil {
			want = got
		}
		for key, value := range want {
			if other, ok := got[key]; !ok || !bytes.Equal(value, other) || len(got) != len(want) {
				t.Errorf("%s stores %q under %q, %s stores %q", name, other, key, redis.Name, value)
			}
		}
	}
}

//go:build servers

package redis

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/internal/testserver"
)

// withReplica starts a primary and a replica of it.
func withReplica(t *testing.T) (primary, replica *testserver.Redis) {
	t.Helper()
	primary = private(t, testserver.RedisOptions{Args: []string{"--repl-diskless-sync-delay", "0"}})
	host, port, _ := strings.Cut(primary.Addr(), ":")
	replica = private(t, testserver.RedisOptions{Args: []string{"--replicaof", host, port}})
	follows(t, primary)
	return primary, replica
}

// follows waits until the primary's replica has all that was written.
func follows(t *testing.T, primary *testserver.Redis) {
	t.Helper()
	eventually(t, "the replica to follow", func() error {
		c, err := primary.Dial()
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		if _, err := c.Do("PUBLISH", "probe", ""); err != nil { // replicated, and no key
			return err
		}
		n, err := redis.Int(c.Do("WAIT", 1, 1000))
		if err == nil && n != 1 {
			err = fmt.Errorf("%d replicas", n)
		}
		return err
	})
}

// frozen runs fn while the primary's replica answers nobody.
func frozen(t *testing.T, primary, replica *testserver.Redis, fn func()) {
	t.Helper()
	must(t, "Freeze", replica.Freeze())
	defer func() {
		must(t, "Thaw", replica.Thaw())
		follows(t, primary)
	}()
	fn()
}

// TestReplicas: what ends or logs in a session waits for a replica and, if that
// does not follow, does nothing; all else does not wait.
func TestReplicas(t *testing.T) {
	primary, replica := withReplica(t)
	pool := &redis.Pool{MaxIdle: 50, Dial: primary.Dial}
	t.Cleanup(func() { _ = pool.Close() })
	callers, err := New(pool, Options{Replicas: 1, ReplicaWait: time.Second})
	must(t, "New", err)
	for name, s := range map[string]*Store{
		"own pool":      openAt(t, primary.URL()+"?replicas=1&replicawait=1s"),
		"caller's pool": callers,
	} {
		t.Run(name, func(t *testing.T) {
			if !s.Confirms() {
				t.Error("a Store with Replicas does not say that it waits")
			}
			rec, other := create(t, s, "alice", "x"), create(t, s, "alice", "y")
			login := rec
			login.Confirm, login.Data = true, []byte("new token")
			born := newRecord("bob", "z")
			born.Confirm = true
			frozen(t, primary, replica, func() {
				for what, err := range map[string]error{
					"Update":        s.Update(ctx, login),
					"Create":        s.Create(ctx, born),
					"DeleteVersion": s.DeleteVersion(ctx, rec.ID, 1),
					"Delete":        s.Delete(ctx, rec.ID),
				} {
					if !errors.Is(err, backend.ErrNotReplicated) {
						t.Errorf("%s without a replica: %v, want ErrNotReplicated", what, err)
					}
				}
				got, err := s.Load(ctx, rec.ID)
				if err != nil || got.Version != 1 || string(got.Data) != "x" {
					t.Errorf("after that: %v, %v; want the record as it was", got, err)
				}
				if _, err := s.Load(ctx, born.ID); !errors.Is(err, backend.ErrNotFound) {
					t.Errorf("a login that was refused is there: %v", err)
				}
				other.Data = []byte("plain")
				must(t, "Update that need not wait", s.Update(ctx, other))
				must(t, "Touch", s.Touch(ctx, other.ID, other.Expires.Add(2*time.Hour)))
			})
			must(t, "Update", s.Update(ctx, login))
			must(t, "Create", s.Create(ctx, born))
			must(t, "DeleteVersion", s.DeleteVersion(ctx, rec.ID, 2))
			must(t, "Delete", s.Delete(ctx, born.ID))
			must(t, "Delete of nothing", s.Delete(ctx, born.ID))
		})
	}
	if keys, err := redis.Strings(replica.Do("KEYS", "*")); err != nil || len(keys) != 3 {
		t.Errorf("the replica has the keys %q, %v; want the two sessions that are left, and their index", keys, err)
	}
}

// TestEveryWrite: with EveryWrite, plain writes wait, too.
func TestEveryWrite(t *testing.T) {
	primary, replica := withReplica(t)
	s := openAt(t, primary.URL()+"?replicas=1&replicawait=1s&everywrite=true")
	rec := create(t, s, "", "x")
	frozen(t, primary, replica, func() {
		for what, err := range map[string]error{
			"Create": s.Create(ctx, newRecord("", "y")),
			"Update": s.Update(ctx, rec),
			"Touch":  s.Touch(ctx, rec.ID, rec.Expires.Add(time.Hour)),
		} {
			if !errors.Is(err, backend.ErrNotReplicated) {
				t.Errorf("%s: %v, want ErrNotReplicated", what, err)
			}
		}
	})
}

// TestReplicasOptions: what cannot be meant is refused, and an account that may
// not WAIT is told so when the store is opened.
func TestReplicasOptions(t *testing.T) {
	for _, o := range []Options{{Replicas: -1}, {EveryWrite: true}, {ReplicaWait: time.Second}, {Replicas: 1, ReplicaWait: time.Minute}, {Replicas: 1, ReplicaWait: 1}} {
		if _, err := New(&redis.Pool{}, o); err == nil || !strings.Contains(err.Error(), "Options.") {
			t.Errorf("New with %+v: %v, want an error that names the field", o, err)
		}
	}
	r := private(t, testserver.RedisOptions{})
	_, err := r.Do("ACL", "SETUSER", "sam", "on", ">pw", "~*", "+@all", "-wait")
	must(t, "ACL SETUSER", err)
	openAt(t, "redis://sam:pw@"+r.Addr())
	if s, err := Open("redis://sam:pw@" + r.Addr() + "?replicas=1"); err == nil || !strings.Contains(err.Error(), "+wait") {
		t.Errorf("Open without the right to WAIT: %v, %v; want an error with the cure", s, err)
	}
	openAt(t, r.URL()+"?replicas=1") // no replica yet: sessions can be read meanwhile
}

// TestLogoutWithoutReplica: through a Manager, a logout that the replica did not
// get is a 503, and the user is still logged in. Once it follows, the retry works.
func TestLogoutWithoutReplica(t *testing.T) {
	primary, replica := withReplica(t)
	m, err := session.New(session.Config{Provider: Name, SavePath: primary.URL() + "?replicas=1&replicawait=1s"})
	must(t, "session.New", err)
	t.Cleanup(func() { must(t, "Close", m.Close()) })
	mux := http.NewServeMux()
	mux.HandleFunc("/login", func(_ http.ResponseWriter, r *http.Request) { session.FromContext(r).SetUser("ada") })
	mux.HandleFunc("/logout", func(_ http.ResponseWriter, r *http.Request) { session.FromContext(r).Destroy() })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, session.FromContext(r).User()) })
	server := httptest.NewTLSServer(m.Middleware(mux))
	t.Cleanup(server.Close)
	client := server.Client()
	client.Jar, _ = cookiejar.New(nil)
	get := func(path string, status int) string {
		t.Helper()
		resp, err := client.Get(server.URL + path)
		must(t, path, err)
		defer resp.Body.Close()
		if resp.StatusCode != status {
			t.Errorf("GET %s: status %d, want %d", path, resp.StatusCode, status)
		}
		var body strings.Builder
		_ = resp.Write(&body)
		_, text, _ := strings.Cut(body.String(), "\r\n\r\n")
		return text
	}
	get("/login", http.StatusOK)
	frozen(t, primary, replica, func() {
		get("/logout", http.StatusServiceUnavailable)
		if user := get("/", http.StatusOK); !strings.Contains(user, "ada") {
			t.Errorf("after a logout that answered 503, the user is %q, want ada still", user)
		}
	})
	get("/logout", http.StatusOK)
	if user := get("/", http.StatusOK); strings.Contains(user, "ada") {
		t.Error("after the logout that worked, ada is still logged in")
	}
}

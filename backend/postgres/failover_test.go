package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/cookie"
	"github.com/chisession/session/internal/testserver"
)

// envFailovers says how many failovers of each kind TestFailover makes; one
// unless it is set.
const envFailovers = "FAILOVERS"

// A cluster is a primary and its standby, which follows it through a link that
// can break. They take each other's place.
type cluster struct {
	servers     [2]*testserver.Postgres
	links       [2]*testserver.Link // links[i] leads to servers[i], for the other to follow
	primary     int
	synchronous bool
	db          string
}

// alone has a server wait for no standby, while there is none.
const alone = "synchronous_standby_names = ''"

func startCluster(t *testing.T, synchronous bool) *cluster {
	t.Helper()
	c := &cluster{synchronous: synchronous}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	stop := func(f func() error) {
		t.Cleanup(func() {
			if err := f(); err != nil {
				t.Error(err)
			}
		})
	}
	for i := range c.servers {
		var err error
		if i == 0 {
			c.servers[0], err = testserver.StartPostgres(testserver.PostgresOptions{})
			must(err)
			c.db, err = c.servers[0].CreateDatabase()
		} else {
			c.servers[1], err = c.servers[0].StartStandby("spare", c.links[0].Addr(), alone)
		}
		must(err)
		stop(c.servers[i].Stop)
		c.links[i], err = testserver.StartLink(c.servers[i].Addr())
		must(err)
		stop(c.links[i].Stop)
	}
	c.wait(t)
	return c
}

func (c *cluster) lead() *testserver.Postgres  { return c.servers[c.primary] }
func (c *cluster) spare() *testserver.Postgres { return c.servers[1-c.primary] }

// dsn names both servers, the same first whichever leads.
func (c *cluster) dsn(params ...string) string {
	return c.servers[0].DSNAt(c.servers[0].Addr()+","+c.servers[1].Addr(), c.db, params...)
}

// wait returns when the standby has caught up and, if it is to be, is
// synchronous.
func (c *cluster) wait(t *testing.T) {
	t.Helper()
	state := "async"
	if c.synchronous {
		state = "quorum"
		if err := c.lead().Configure("synchronous_standby_names = 'ANY 1 (*)'"); err != nil {
			t.Fatal(err)
		}
		if err := c.lead().Reload(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the standby follows", func() bool {
		rows, err := c.lead().Query("SELECT state, sync_state FROM pg_stat_replication")
		return err == nil && len(rows) == 1 && rows[0][0] == "streaming" && rows[0][1] == state
	})
}

// fail has the standby take the place of the primary, which dies; before that, the
// cable between the two is pulled, and unseen passes.
func (c *cluster) fail(t *testing.T, unseen func()) {
	t.Helper()
	c.links[c.primary].Stall(true)
	defer c.links[c.primary].Stall(false)
	unseen()
	if err := c.lead().Kill9(); err != nil {
		t.Fatal(err)
	}
	if err := c.spare().Promote(); err != nil {
		t.Fatal(err)
	}
	c.primary = 1 - c.primary
}

// repair has the one that died come back as the standby.
func (c *cluster) repair(t *testing.T) {
	t.Helper()
	if err := c.spare().Rejoin(c.lead(), "spare", c.links[c.primary].Addr(), alone); err != nil {
		t.Fatal(err)
	}
	c.wait(t)
}

// site is an application with a login, a counter and a logout.
func site() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(_ http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r)
		s.SetUser(r.FormValue("user"))
		s.Set("n", 0)
	})
	mux.HandleFunc("POST /count", func(w http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r)
		if s.User() == "" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		n, _ := session.Get[int](s, "n")
		s.Set("n", n+1)
	})
	mux.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r)
		if s.User() == "" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		s.Destroy()
	})
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r)
		n, _ := session.Get[int](s, "n")
		fmt.Fprint(w, s.User(), " ", n)
	})
	return mux
}

// A visit is what a browser knows of one session: what the site acknowledged.
type visit struct {
	token  string
	count  int  // acknowledged
	ended  bool // the logout was acknowledged
	unsure bool // a logout was not: nobody knows
}

// devices is how many sessions a user keeps before the oldest logs out.
const devices = 10

// A user logs in, counts and logs out, again and again.
type user struct {
	name string
	site http.Handler
	done *atomic.Int64 // acknowledged requests of all users

	visits []*visit
	failed int // requests that were not acknowledged
}

// request makes one; the answer must be acknowledged by 200 or refused by 503.
func (u *user) request(t *testing.T, method, path, token string) (w *httptest.ResponseRecorder, ok bool) {
	r := httptest.NewRequest(method, "https://shop.example"+path, nil)
	if token != "" {
		r.AddCookie(&http.Cookie{Name: cookie.DefaultName, Value: token})
	}
	w = httptest.NewRecorder()
	u.site.ServeHTTP(w, r)
	switch w.Code {
	case http.StatusOK:
		u.done.Add(1)
		return w, true
	case http.StatusServiceUnavailable, http.StatusUnauthorized:
		u.failed++
	default:
		t.Errorf("%s %s is answered %d %s", method, path, w.Code, w.Body)
	}
	return w, false
}

func (u *user) live(ctx context.Context, t *testing.T) {
	for ctx.Err() == nil {
		w, ok := u.request(t, "POST", "/login?user="+u.name, "")
		if !ok {
			continue
		}
		cookies := w.Result().Cookies()
		if len(cookies) != 1 {
			t.Errorf("a login sets %d cookies", len(cookies))
			return
		}
		v := &visit{token: cookies[0].Value}
		u.visits = append(u.visits, v)
		if _, ok := u.request(t, "POST", "/count", v.token); ok {
			v.count++
		}
		if len(u.visits) >= devices {
			old := u.visits[len(u.visits)-devices]
			_, old.ended = u.request(t, "POST", "/logout", old.token)
			old.unsure = !old.ended
		}
	}
}

// A toll is what a failover took.
type toll struct{ logins, logouts, counts, acknowledged, failed int }

func (a toll) plus(b toll) toll {
	return toll{a.logins + b.logins, a.logouts + b.logouts, a.counts + b.counts, a.acknowledged + b.acknowledged, a.failed + b.failed}
}

func (a toll) String() string {
	return fmt.Sprintf("%d logouts undone, %d sessions lost, %d updates undone, of %d acknowledged logins and logouts; %d requests refused",
		a.logouts, a.logins, a.counts, a.acknowledged, a.failed)
}

// look counts what became of all that was acknowledged.
func (u *user) look(t *testing.T) (toll toll) {
	toll.failed = u.failed
	for _, v := range u.visits {
		if v.unsure {
			continue
		}
		var w *httptest.ResponseRecorder
		eventually(t, "the site responds", func() (ok bool) {
			w, ok = u.request(t, "GET", "/", v.token)
			return ok
		})
		name, n, _ := strings.Cut(w.Body.String(), " ")
		count, _ := strconv.Atoi(n)
		toll.acknowledged++
		switch {
		case v.ended:
			toll.acknowledged++
			if name != "" {
				toll.logouts++
			}
		case name != u.name:
			toll.logins++
		case count < v.count:
			toll.counts++
		}
	}
	u.visits, u.failed = nil, 0
	return toll
}

// TestFailover kills the primary under the users' hands, FAILOVERS times, and
// looks what is left of what was acknowledged to them. With an asynchronous
// standby something is undone each time, or this would prove nothing; with a
// synchronous one nothing ever is.
func TestFailover(t *testing.T) {
	t.Parallel()
	times := 1
	if text := os.Getenv(envFailovers); text != "" {
		var err error
		if times, err = strconv.Atoi(text); err != nil {
			t.Fatalf("%s: %v", envFailovers, err)
		}
	}
	for _, synchronous := range []bool{false, true} {
		name := map[bool]string{false: "asynchronous", true: "synchronous"}[synchronous]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startCluster(t, synchronous)
			total := toll{}
			h := startSite(t, c)
			for i := range times {
				got := failover(t, c, h)
				t.Logf("failover %d: %v", i+1, got)
				if lost := got.logins + got.logouts + got.counts; synchronous && lost != 0 || !synchronous && lost == 0 {
					t.Errorf("failover %d: %d acknowledged changes are undone", i+1, lost)
				}
				total = total.plus(got)
				c.repair(t)
			}
			t.Logf("%d failovers, %s: %v", times, name, total)
			testAfterFailover(t, c)
		})
	}
}

// startSite starts a manager, by name as an application does it, and returns
// the application behind it.
func startSite(t *testing.T, c *cluster) http.Handler {
	t.Helper()
	var log bytes.Buffer
	quiet := &slog.LevelVar{} // from now on: the failures of an outage are many
	m, err := session.New(session.Config{Provider: Name, SavePath: c.dsn(), SweepEvery: -1,
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: quiet}))})
	if err != nil {
		t.Fatal(err)
	}
	quiet.Set(slog.LevelError + 1)
	if want := map[bool]string{false: "durability=\"asynchronous", true: "durability=\"synchronous"}[c.synchronous]; !strings.Contains(log.String(), want) {
		t.Errorf("the manager logs %q at start, want %q", log.String(), want)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m.Middleware(site())
}

// failover fails the primary over to its standby while users come and go.
func failover(t *testing.T, c *cluster, h http.Handler) (total toll) {
	t.Helper()
	ctx, stop := context.WithCancel(background)
	defer stop()
	var done atomic.Int64
	users := make([]*user, 6)
	var wg sync.WaitGroup
	defer wg.Wait()
	for i := range users {
		users[i] = &user{name: fmt.Sprint("user", i), site: h, done: &done}
		wg.Go(func() { users[i].live(ctx, t) })
	}
	more := func(n int64, what string) {
		t.Helper()
		so := done.Load()
		eventually(t, what, func() bool { return done.Load() >= so+n })
	}
	more(100, "users come and go")
	c.fail(t, func() {
		if c.synchronous {
			time.Sleep(300 * time.Millisecond) // they wait for the standby
		} else {
			more(40, "users go on")
		}
	})
	began := time.Now()
	more(1, "the first request after the failover")
	t.Logf("the first acknowledged request came %v after the standby had been promoted", time.Since(began).Round(time.Millisecond))
	more(50, "users come and go again")
	stop()
	wg.Wait()
	for _, u := range users {
		total = total.plus(u.look(t))
	}
	return total
}

// testAfterFailover: the suite on both servers' addresses, of which the first
// may be that of the standby by now, and the promise that Open found out.
func testAfterFailover(t *testing.T, c *cluster) {
	var tables atomic.Int64
	open := func(t *testing.T) (a, b backend.Store) {
		opts := Options{Table: fmt.Sprintf("after_%d", tables.Add(1))}
		return openTable(t, c.dsn(patiently), opts), openTable(t, c.dsn(patiently), opts)
	}
	if c.synchronous {
		backendtest.RunShared(t, open)
	} else {
		backendtest.Run(t, func(t *testing.T) backend.Store { s, _ := open(t); return s })
	}
	promise := openTable(t, c.dsn(), Options{}).Promise()
	if !promise.SurvivesCrash() || promise.SurvivesFailover() != c.synchronous {
		t.Errorf("the promise is %+v, %s", promise, promise)
	}
	dsn := c.spare().DSN(c.db)
	if err := openErr(dsn); err == nil || !strings.Contains(err.Error(), "standby") {
		t.Errorf("Open of the standby = %v, want an error that says so", err)
	}
}

// TestSwitchover: an orderly change of places undoes nothing, and the old
// primary, which is there again on its old address, but read only, is left alone.
func TestSwitchover(t *testing.T) {
	t.Parallel()
	c := startCluster(t, false)
	s := openAt(t, c.dsn())
	rec, gone := create(t, s, record()), create(t, s, record())
	ops := operations(t, s)
	if err := s.Delete(background, gone.ID); err != nil {
		t.Fatal(err)
	}
	old := c.lead()
	if err := old.Halt(); err != nil { // which sends the standby all there is
		t.Fatal(err)
	}
	if err := c.spare().Promote(); err != nil {
		t.Fatal(err)
	}
	c.primary = 1 - c.primary
	c.repair(t)
	each(ops, func(name string, err error, took time.Duration) {
		if err != nil || took > late {
			t.Errorf("%s after a switchover: %v, after %v", name, err, took)
		}
	})
	checkRecord(t, load(t, s, rec.ID), rec)
	if _, err := s.Load(background, gone.ID); err == nil {
		t.Error("what was deleted before the switchover is there")
	}
	eventually(t, "no connection to the standby is kept", func() bool {
		rows, err := old.Query("SELECT count(*) FROM pg_stat_activity WHERE usename = 'session'")
		return err == nil && len(rows) == 1 && rows[0][0] == "0"
	})
}

// TestUnconfirmedDelete: a deletion that no standby confirms is an error, and so
// is the next one, which finds nothing to delete any more: a failover would bring
// the record back.
func TestUnconfirmedDelete(t *testing.T) {
	t.Parallel()
	c := startCluster(t, true)
	s := openAt(t, c.dsn())
	if !s.Confirms() {
		t.Fatal("the store does not know that the server waits for a standby")
	}
	rec := create(t, s, record())
	c.links[c.primary].Stall(true)
	// pgx has the server cancel what it waits for, and so the deletion is seen; once it
	// had time to begin, on a busy machine.
	eventually(t, "the record is gone from the primary", func() bool {
		ctx, cancel := context.WithTimeout(background, 300*time.Millisecond)
		defer cancel()
		if err := s.Delete(ctx, rec.ID); err == nil {
			t.Error("Delete without a standby: no error")
		}
		rows, err := c.lead().QueryIn(c.db, "SELECT 1 FROM sessions WHERE id = '"+rec.ID.String()+"'")
		return err == nil && len(rows) == 0
	})
	ctx, cancel := context.WithTimeout(background, 500*time.Millisecond)
	defer cancel()
	if err := s.Delete(ctx, rec.ID); err == nil {
		t.Error("Delete of a record whose deletion no standby knows: no error")
	}
	c.links[c.primary].Stall(false)
	eventually(t, "with the standby back a Delete succeeds", func() bool { return s.Delete(background, rec.ID) == nil })
	if err := c.lead().Kill9(); err != nil {
		t.Fatal(err)
	}
	if err := c.spare().Promote(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "after the failover the record is not there", func() bool {
		_, err := s.Load(background, rec.ID)
		if err == nil {
			t.Error("Load after the failover: the record is there again")
		}
		return err == nil || errors.Is(err, backend.ErrNotFound)
	})
}

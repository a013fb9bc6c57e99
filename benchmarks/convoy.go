package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/mysql"
)

// What a convoy is made of: so many clients, each sending its next request when
// the one before was answered, to so few sessions that some always meet.
const (
	convoyWorkers  = 64
	convoySessions = 256
	convoyConns    = 32 // as many as a pool of this library's own has
	convoyLimit    = 1.5
)

// A timedStore notes how long the calls of a request take, in the *spent of
// its context.
type timedStore struct{ *mysql.Store }

type spentKey struct{}

// A spent is what one request was at.
type spent struct {
	calls int
	store time.Duration
}

func (s timedStore) note(ctx context.Context, start time.Time) {
	if sp, ok := ctx.Value(spentKey{}).(*spent); ok {
		sp.calls++
		sp.store += time.Since(start)
	}
}

func (s timedStore) Load(ctx context.Context, id uuid.UUID) (backend.Record, error) {
	defer s.note(ctx, time.Now())
	return s.Store.Load(ctx, id)
}

func (s timedStore) Update(ctx context.Context, rec backend.Record) error {
	defer s.note(ctx, time.Now())
	return s.Store.Update(ctx, rec)
}

// A meter collects what the requests of one contender took.
type meter struct {
	mu       sync.Mutex // guards the rest
	requests []time.Duration
	handler  []time.Duration
	store    []time.Duration // all calls of a request together
	calls    int

	requestP99, storeP99 []time.Duration // turn by turn
}

func (m *meter) served(handler time.Duration, sp spent) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.handler = append(m.handler, handler)
	m.store = append(m.store, sp.store)
	m.calls += sp.calls
}

// around times a handler and the store calls in it.
func (m *meter) around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var sp spent
		start := time.Now()
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), spentKey{}, &sp)))
		m.served(time.Since(start), sp)
	})
}

// A convoy is the place of one run.
type convoy struct {
	store   timedStore
	cookies []string    // of the sessions
	ids     []uuid.UUID // of records like theirs, for the store alone
	bare    *rawMariaDB
	keys    []rawKey
	data    [2][]byte // that the bare driver stores, in turns
	client  *http.Client
	ours    string // addresses
	driver  string
	meters  map[string]*meter
	closers []func() error
}

// The contenders of a convoy.
const (
	convoyOurs   = "this library, over HTTP"
	convoyDriver = "the bare driver, over HTTP"
	convoyStore  = "the store's two calls, without HTTP"
)

func openConvoy(pl *place) (c *convoy, err error) {
	c = &convoy{
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: convoyWorkers}},
		meters: map[string]*meter{convoyOurs: {}, convoyDriver: {}, convoyStore: {}},
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	s, err := mysql.Open(pl.mariaDB.DSN(pl.db))
	if err != nil {
		return c, err
	}
	c.store = timedStore{s}
	c.closers = append(c.closers, s.Close)
	lib, err := newOurs(c.store)
	if err != nil {
		return c, err
	}
	c.closers = append(c.closers, lib.m.Close)
	if c.ours, err = c.serve(c.meters[convoyOurs].around(newRouter(lib))); err != nil {
		return c, err
	}
	if err := c.login(); err != nil {
		return c, err
	}
	db, err := sql.Open("mysql", pl.mariaDB.DSN(pl.db, "readTimeout="+ioTimeout.String(), "writeTimeout="+ioTimeout.String()))
	if err != nil {
		return c, err
	}
	db.SetMaxOpenConns(convoyConns)
	db.SetMaxIdleConns(convoyConns)
	c.closers = append(c.closers, db.Close)
	if c.bare, err = prepareRawMariaDB(db); err != nil {
		return c, err
	}
	for range convoySessions {
		key := newRawKey()
		if err := c.bare.create(key, c.data[0]); err != nil {
			return c, err
		}
		c.keys = append(c.keys, key)
	}
	c.driver, err = c.serve(c.meters[convoyDriver].around(http.HandlerFunc(c.readAndWrite)))
	return c, err
}

// serve serves h until the convoy is closed, and returns where.
func (c *convoy) serve(h http.Handler) (url string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: h}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	c.closers = append(c.closers, func() error {
		err := server.Close()
		<-ended // with http.ErrServerClosed
		return err
	})
	return "http://" + l.Addr().String(), nil
}

// login makes the sessions, and a record like each.
func (c *convoy) login() error {
	for range convoySessions {
		resp, err := c.client.Get(c.ours + "/E")
		if err != nil {
			return err
		}
		_ = resp.Body.Close() // nothing of it is needed
		cookie, _, _ := strings.Cut(resp.Header.Get("Set-Cookie"), ";")
		_, token, _ := strings.Cut(cookie, "=")
		id, err := idOf(token)
		if err != nil || resp.StatusCode != http.StatusOK {
			return fmt.Errorf("log in: %s: %w", resp.Status, err)
		}
		rec, err := c.store.Load(context.Background(), id)
		if err != nil {
			return err
		}
		c.data = newRecord(rec.Data).data
		rec.ID = uuid.Must(uuid.NewV7())
		if err := c.store.Create(context.Background(), rec); err != nil {
			return err
		}
		c.cookies = append(c.cookies, cookie)
		c.ids = append(c.ids, rec.ID)
	}
	return nil
}

// readAndWrite is the handler over the bare driver.
func (c *convoy) readAndWrite(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.URL.Query().Get("n"))
	if err == nil {
		err = c.bareCalls(c.keys[n])
	}
	answer(w, done, err)
}

func (c *convoy) bareCalls(key rawKey) error {
	data, err := c.bare.get(key)
	if err != nil {
		return err
	}
	turn := 0
	if data[0] == c.data[0][0] {
		turn = 1 // what stays the same, a server need not write
	}
	return c.bare.set(key, c.data[turn])
}

// twoCalls loads a record and stores another version of it, as a request does.
func (c *convoy) twoCalls(id uuid.UUID) error {
	var sp spent
	ctx := context.WithValue(context.Background(), spentKey{}, &sp)
	rec, err := c.store.Load(ctx, id)
	if err != nil {
		return err
	}
	rec.Data = append([]byte(nil), rec.Data...)
	rec.Data[len(rec.Data)-1] ^= 1
	err = c.store.Update(ctx, rec)
	if errors.Is(err, backend.ErrConflict) {
		err = nil // the two calls were made
	}
	c.meters[convoyStore].served(sp.store, sp)
	return err
}

func (c *convoy) get(url, cookie string) error {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	resp, err := c.client.Do(r)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return errors.Join(err, resp.Body.Close())
}

// turn has all workers at one contender for a while.
func (c *convoy) turn(name string, lasts time.Duration) error {
	do := map[string]func(n int) error{
		convoyOurs:   func(n int) error { return c.get(c.ours+"/C", c.cookies[n]) },
		convoyDriver: func(n int) error { return c.get(c.driver+"/?n="+strconv.Itoa(n), "") },
		convoyStore:  func(n int) error { return c.twoCalls(c.ids[n]) },
	}[name]
	m := c.meters[name]
	before := len(m.store)
	end := time.Now().Add(lasts)
	took := make([][]time.Duration, convoyWorkers)
	errs := make([]error, convoyWorkers)
	var all sync.WaitGroup
	for w := range convoyWorkers {
		all.Go(func() {
			for errs[w] == nil && time.Now().Before(end) {
				start := time.Now()
				errs[w] = do(rand.IntN(convoySessions))
				took[w] = append(took[w], time.Since(start))
			}
		})
	}
	all.Wait()
	m.requestP99 = append(m.requestP99, p99(slices.Concat(took...)))
	m.storeP99 = append(m.storeP99, p99(slices.Clone(m.store[before:])))
	m.requests = slices.Concat(append(took, m.requests)...)
	return errors.Join(errs...)
}

func (c *convoy) close() error {
	c.client.CloseIdleConnections()
	var errs []error
	for _, f := range slices.Backward(c.closers) {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}

// measureConvoy has the contenders take short turns, in random order: whatever
// else the machine is at, it is at during all of them.
func measureConvoy(pl *place, turns int, lasts time.Duration) (t table, verdicts []verdict, err error) {
	t = table{
		title: fmt.Sprintf("MariaDB: %d clients, %d sessions, each request reads and writes", convoyWorkers, convoySessions),
		head:  []string{"", "requests", "p50", "p99", "in the handler: p99", "its store calls together: p99", "calls a request"},
		note: fmt.Sprintf("%d turns of %v of each, in random order. Clients, servers and MariaDB share this machine; each pool has %d connections.",
			turns, lasts, convoyConns),
	}
	c, err := openConvoy(pl)
	if err != nil {
		return t, nil, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	names := []string{convoyOurs, convoyDriver, convoyStore}
	for turn := range turns + 1 {
		if turn == 1 {
			for _, m := range c.meters { // the first one was to warm up
				*m = meter{}
			}
		}
		for _, i := range rand.Perm(len(names)) {
			if err := c.turn(names[i], lasts); err != nil {
				return t, nil, fmt.Errorf("%s: %w", names[i], err)
			}
		}
	}
	for _, name := range names {
		m := c.meters[name]
		row := []string{name, thousands(len(m.requests)), "", micros(p99(m.requests)), micros(p99(m.handler)), "", ""}
		row[2] = micros(percentile(m.requests, 50))
		if m.calls > 0 {
			row[5] = micros(p99(m.store))
			row[6] = number(float64(m.calls) / float64(len(m.store)))
		}
		t.rows = append(t.rows, row)
	}
	ours := c.meters[convoyOurs]
	const what = "MariaDB: many clients and few sessions, p99 of a request"
	return t, []verdict{
		ratioAtMost(what, ratiosOf(ours.requestP99, ours.storeP99), convoyLimit, " × its store calls'"),
		ratioAtMost(what, ratiosOf(ours.requestP99, c.meters[convoyDriver].requestP99), convoyLimit, " × the bare driver's"),
	}, nil
}

// ratiosOf returns median and quartiles of the ratios of neighbours.
func ratiosOf(a, b []time.Duration) duel {
	var ratios []float64
	for i := range a {
		ratios = append(ratios, float64(a[i])/float64(b[i]))
	}
	slices.Sort(ratios)
	return quartiles(ratios)
}

func p99(all []time.Duration) time.Duration {
	slices.Sort(all)
	return percentile(all, 99)
}

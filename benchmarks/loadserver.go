package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime/metrics"
	"runtime/pprof"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/chisession/session/backend"
)

// A contender is a library over a store, as the server process of a load is told
// to open it.
type contender struct {
	Kind, Name string
	At         string // the store's: an address, a DSN or a directory
	Data       []byte // what the bare driver stores for a session
	Profile    string // a file for a CPU profile of the whole life, or ""
}

// The connections that each contender's pool may have: as many as a pool of this
// library's own has. A driver's own default is its choice for nobody in
// particular, and what is compared is not these.
const (
	redisConns    = 100
	mariaDBConns  = 32
	postgresConns = 16
)

// A usage is what a server process has used since it started.
type usage struct {
	CPU   time.Duration // user and system
	Bytes uint64        // allocated on the heap
}

// A serverOrder is one of: serve the contender, or, if there is none, tell what
// was used so far.
type serverOrder struct{ Serve *contender }

type serverReply struct {
	Addr string
	Used usage
}

// A loadServer is a server process: a real net/http server over one contender.
type loadServer struct {
	closers []func() error
}

func (s *loadServer) do(order serverOrder) (r serverReply, err error) {
	if order.Serve != nil {
		r.Addr, err = s.serve(*order.Serve)
		return r, err
	}
	r.Used, err = used()
	return r, err
}

func (s *loadServer) close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	return errors.Join(errs...)
}

// later has f called when the server is closed.
func (s *loadServer) later(f func() error) { s.closers = append(s.closers, f) }

func (s *loadServer) serve(c contender) (addr string, err error) {
	if c.Profile != "" {
		f, err := os.Create(c.Profile)
		if err != nil {
			return "", err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return "", err
		}
		s.later(func() error { pprof.StopCPUProfile(); return f.Close() })
	}
	lib, err := s.open(c)
	if err != nil {
		return "", err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: newRouter(lib)}
	go func() { _ = server.Serve(l) }() // ends with http.ErrServerClosed; before that, every request would fail
	s.later(server.Close)
	return l.Addr().String(), nil
}

// open opens the contender's library.
func (s *loadServer) open(c contender) (library, error) {
	switch c.Name {
	case nameChi:
		return &raw{}, nil
	case nameOurs:
		return s.openOurs(c)
	case nameRaw:
		store, err := s.openBare(c)
		return newBare(store, c.Data), err
	case nameSCS:
		return s.openSCS(c)
	case nameGorilla:
		return gorillaFile(c.At), nil
	case nameRedi:
		return openRedistore(c.At)
	}
	return nil, fmt.Errorf("no contender is called %q", c.Name)
}

func (s *loadServer) openOurs(c contender) (library, error) {
	at := c.At
	if c.Kind == inMemory {
		at = strconv.Itoa(10_000_000) // sessions, so that none of the logins has to make room
	}
	store, err := backend.Open(c.Kind, at)
	if err != nil {
		return nil, err
	}
	if closer, ok := store.(interface{ Close() error }); ok {
		s.later(closer.Close)
	}
	lib, err := newOurs(store)
	if err != nil {
		return nil, err
	}
	s.later(lib.m.Close)
	return lib, nil
}

func (s *loadServer) openBare(c contender) (rawStore, error) {
	switch c.Kind {
	case inMemory:
		return &rawMemory{m: newRawMap()}, nil
	case inFile:
		return rawFile(c.At), nil
	case inRedis:
		store := newRawRedis(c.At)
		store.pool.MaxIdle, store.pool.MaxActive, store.pool.Wait = redisConns, redisConns, true
		s.later(store.pool.Close)
		return store, nil
	case inMariaDB:
		db, err := s.openDB(c.At)
		if err != nil {
			return nil, err
		}
		return newRawMariaDB(db)
	case inPostgres:
		pool, err := s.openPostgres(c.At)
		if err != nil {
			return nil, err
		}
		return newRawPostgres(pool)
	}
	return nil, fmt.Errorf("no bare driver for %q", c.Kind)
}

func (s *loadServer) openSCS(c contender) (library, error) {
	switch c.Kind {
	case inMemory:
		return scsMemory(), nil
	case inRedis:
		client := redis.NewClient(&redis.Options{Addr: c.At, PoolSize: redisConns})
		s.later(client.Close)
		return scsRedis(client), nil
	case inMariaDB:
		db, err := s.openDB(c.At)
		if err != nil {
			return nil, err
		}
		return scsMariaDB(db)
	case inPostgres:
		pool, err := s.openPostgres(c.At)
		if err != nil {
			return nil, err
		}
		return scsPostgres(pool)
	}
	return nil, fmt.Errorf("scs has no store for %q", c.Kind)
}

// openDB opens a pool of MariaDB's, set as docs/backends/mysql.md says that ours
// is.
func (s *loadServer) openDB(dsn string) (*sql.DB, error) {
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(mariaDBConns)
	db.SetMaxIdleConns(mariaDBConns)
	db.SetConnMaxLifetime(3 * time.Minute)
	s.later(db.Close)
	return db, nil
}

func (s *loadServer) openPostgres(dsn string) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	cfg.MaxConns = postgresConns
	pool, err := pgxpool.NewWithConfig(context.Background(), cfg)
	if err != nil {
		return nil, err
	}
	s.later(func() error { pool.Close(); return nil })
	return pool, nil
}

// used tells what this process has used.
func used() (u usage, err error) {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return u, err
	}
	allocs := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(allocs)
	u.CPU = time.Duration(r.Utime.Nano() + r.Stime.Nano())
	u.Bytes = allocs[0].Value.Uint64()
	return u, nil
}

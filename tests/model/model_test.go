package model

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/chisession/session/backend"
	_ "github.com/chisession/session/backend/file"
	_ "github.com/chisession/session/backend/memory"
	_ "github.com/chisession/session/backend/mysql"
	_ "github.com/chisession/session/backend/postgres"
	_ "github.com/chisession/session/backend/redis"
	_ "github.com/chisession/session/backend/sqlite"
	"github.com/chisession/session/internal/testserver"
)

// more is how many times as many histories to check.
var more = flag.Float64("more", 1, "check that many times as many histories; 50 is a few minutes a backend")

var (
	mariaDB        *testserver.MariaDB
	postgresServer *testserver.Postgres
	redisServer    *testserver.Redis
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(runAll(m))
}

func runAll(m *testing.M) int {
	var err error
	if mariaDB, err = testserver.StartMariaDB(testserver.MariaDBOptions{}); err == nil {
		redisServer, err = testserver.StartRedis(testserver.RedisOptions{})
	}
	if err == nil {
		postgresServer, err = testserver.StartPostgres(testserver.PostgresOptions{})
	}
	code := 1
	if err == nil {
		code = m.Run()
	}
	if mariaDB != nil {
		err = errors.Join(err, mariaDB.Stop())
	}
	if redisServer != nil {
		err = errors.Join(err, redisServer.Stop())
	}
	if postgresServer != nil {
		err = errors.Join(err, postgresServer.Stop())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return cmp.Or(code, 1)
	}
	return code
}

// TestModel checks histories on every backend, in both modes, with faults and
// without. Two stores on one place stand for two processes; the memory store
// has one place only, and two managers.
//
// Each run takes the same seeds, so that what fails is due to a change, and
// prints the one that failed. SEED=n replays it: exactly, in the deterministic
// mode; in the free one, with the same requests and faults, a hundred times.
// SEED=new takes others, as make faults does.
func TestModel(t *testing.T) {
	for _, kind := range []struct {
		name   string
		places func(*testing.T) []string
		count  int // of histories, of each mode
	}{
		{"memory", func(*testing.T) []string { return []string{""} }, 150},
		{"file", func(t *testing.T) []string {
			dir := filepath.Join(t.TempDir(), "sessions")
			return []string{dir, dir}
		}, 60},
		{"mysql", func(t *testing.T) []string {
			name, err := mariaDB.CreateDatabase()
			if err != nil {
				t.Fatal(err)
			}
			return []string{mariaDB.DSN(name), mariaDB.DSN(name)}
		}, 20},
		{"postgres", func(t *testing.T) []string {
			name, err := postgresServer.CreateDatabase()
			if err != nil {
				t.Fatal(err)
			}
			return []string{postgresServer.DSN(name), postgresServer.DSN(name)}
		}, 40},
		{"sqlite", func(t *testing.T) []string {
			file := filepath.Join(t.TempDir(), "sessions.db")
			return []string{file, file}
		}, 40},
		{"redis", func(*testing.T) []string {
			return []string{redisServer.URL() + "?prefix=model:", redisServer.URL() + "?prefix=model:"}
		}, 60},
	} {
		for _, mode := range []Mode{Deterministic, Free} {
			t.Run(kind.name+"/"+string(mode), func(t *testing.T) {
				stores := open(t, kind.name, kind.places(t))
				if seed, ok := onceFailed[kind.name]; ok && mode == Deterministic {
					if _, err := Run(options(seed, mode, stores)); err != nil {
						t.Fatalf("SEED=%d: %v", seed, err)
					}
				}
				checkHistories(t, stores, mode, kind.count)
			})
		}
	}
}

func open(t *testing.T, name string, places []string) []backend.Store {
	t.Helper()
	var stores []backend.Store
	for _, place := range places {
		store, err := backend.Open(name, place)
		if err != nil {
			t.Fatal(err)
		}
		stores = append(stores, store)
		t.Cleanup(func() {
			if err := store.(io.Closer).Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return stores
}

// onceFailed are seeds that found something.
var onceFailed = map[string]uint64{
	"file":  500724579, // a login with an open end, done on what an earlier try saw
	"redis": 594938992, // a login that lost its record, and showed its message
}

// checkHistories checks count histories.
func checkHistories(t *testing.T, stores []backend.Store, mode Mode, count int) {
	first, count := seeds(t, mode, count)
	var sum Report
	for i := range count {
		seed := first
		if text := os.Getenv("SEED"); text == "" || text == "new" {
			seed += uint64(i)
		}
		report, err := Run(options(seed, mode, stores))
		sum.Operations += report.Operations
		sum.Sessions += report.Sessions
		sum.StoreCalls += report.StoreCalls
		sum.Faults += report.Faults
		if err != nil {
			t.Fatalf("SEED=%d: %v", seed, err)
		}
	}
	t.Logf("%d histories from SEED=%d: %d operations on %d sessions, %d store calls, %d faults, 0 violations",
		count, first, sum.Operations, sum.Sessions, sum.StoreCalls, sum.Faults)
}

// options are those of the history that a seed makes.
func options(seed uint64, mode Mode, stores []backend.Store) Options {
	return Options{Seed: seed, Mode: mode, Faults: seed%2 == 1, Clients: 3 + int(seed/2%3), Requests: 4, Stores: stores}
}

// firstSeed is the first of those that every run takes.
const firstSeed = 1

// seeds returns the first seed and how many to try.
func seeds(t *testing.T, mode Mode, count int) (uint64, int) {
	text := os.Getenv("SEED")
	fresh := text == "new"
	if text != "" && !fresh {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("SEED: %v", err)
		}
		if mode == Free {
			return seed, 100
		}
		return seed, 1
	}
	count = int(float64(count) * *more)
	if testing.Short() {
		count /= 4
	}
	if fresh {
		return rand.Uint64N(1e9), count
	}
	return firstSeed, count
}

// TestReplays checks that a seed gives the same history each time.
func TestReplays(t *testing.T) {
	times := regexp.MustCompile(`…[0-9a-f]{4}|expires [0-9]+`)
	for seed := range uint64(20) {
		var first string
		for range 3 {
			r, err := Options{Seed: seed, Mode: Deterministic, Faults: true, Clients: 4, Requests: 4, Stores: []backend.Store{openMemory(t)}}.make()
			if err != nil {
				t.Fatal(err)
			}
			got := times.ReplaceAllString(listing(r.h.ops), "")
			if first = cmp.Or(first, got); got != first {
				t.Fatalf("SEED=%d: two histories:\n%s\n%s", seed, first, got)
			}
		}
	}
}

// Package redis keeps sessions in Redis (7.0 or newer) or Valkey, through
// redigo. Import it for its name, "redis", or hand [New] a pool of your own.
//
// A session is one key, prefix + UUID, holding one string with everything in
// it; the server's own expiry ends it, so there is nothing to sweep, and an
// eviction loses whole sessions, never halves. Every key has a time to live
// at every moment. The sessions of a user are found through one sorted set a
// user, prefix + "@" + user. No KEYS, no SCAN, no keyspace notifications.
//
// In the plain case every call is one round trip: Load one GET, Update one
// compare-and-swap script, which enters the session in its user's index first
// where that is due. See the methods for the others.
//
// # What to provision
//
// With maxmemory-policy noeviction, a full server refuses new sessions and
// changes (reads go on); with volatile-lru and the like it logs out whoever
// has not been seen longest, and an evicted user index makes [Store.ByUser]
// miss that user's sessions. To keep acknowledged logins through a power cut,
// set appendonly yes and appendfsync always.
//
// An ACL needs: GET, SET, DEL, PING, TIME, GETRANGE, SETRANGE, PEXPIREAT,
// PEXPIRETIME, ZADD, ZSCORE, ZRANGE, ZREM, ZREMRANGEBYSCORE, EVAL, EVALSHA on
// the keys prefix*; [Open] and [Store.Check] say which is missing. With HELLO as
// well, a login is one round trip and not two.
//
// # Cluster
//
// redigo follows no MOVED: for a Redis Cluster there are backend/goredis and
// backend/rueidis. Where the server does not say (to HELLO) that it is one
// server, each command and each script call touches exactly one key, and the
// index of a user is written before the record, which is written only if that
// succeeded, so all of it may pass a proxy.
//
// # No Counter
//
// Store is not a backend.Counter: Redis has no cheap exact count of the keys
// with a prefix, and a second key in every write to keep one would cost more
// than the number is worth. DBSIZE of a database of its own comes close.
package redis

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync/atomic"

	"github.com/gomodule/redigo/redis"

	"github.com/chisession/session/backend"
)

// Name is what the backend is registered as.
const Name = "redis"

// DefaultPrefix starts the name of every key, unless [Options] say otherwise.
const DefaultPrefix = "session:"

// maxPrefix is the length of the longest prefix.
const maxPrefix = 64

// maxRecord is the server's default limit for one value (proto-max-bulk-len).
const maxRecord = 512 << 20

func init() {
	backend.Register(Name, func(savePath string) (backend.Store, error) {
		s, err := Open(savePath)
		if err != nil {
			return nil, err // not a Store that holds a nil *Store
		}
		return s, nil
	})
}

var (
	_ backend.Store            = (*Store)(nil)
	_ backend.VersionedDeleter = (*Store)(nil)
	_ backend.UserIndex        = (*Store)(nil)
	_ backend.Bounded          = (*Store)(nil)
)

// Options adjust a [Store]. The zero value is right for most.
type Options struct {
	// Prefix starts the name of every key; default "session:". Stores with
	// different prefixes share nothing. It is made of letters, digits and
	// _ - . : / { }, at most 64.
	Prefix string

	// MaxBytes is the size above which a record is backend.ErrTooLarge: the
	// server's proto-max-bulk-len, if that is not the usual 512 MiB.
	MaxBytes int
}

var prefixes = regexp.MustCompile(`^[A-Za-z0-9_.:/{}-]{1,64}$`)

func (o Options) withDefaults() (Options, error) {
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = maxRecord
	}
	if !prefixes.MatchString(o.Prefix) {
		return o, fmt.Errorf("redis: Options.Prefix is %q: use 1 to 64 letters, digits and _ - . : / { }", o.Prefix)
	}
	if o.MaxBytes < 0 {
		return o, fmt.Errorf("redis: Options.MaxBytes is %d: give the server's proto-max-bulk-len, or 0 for %d", o.MaxBytes, maxRecord)
	}
	return o, nil
}

// A Store keeps sessions in Redis. It is safe for concurrent use by any
// number of goroutines and processes.
type Store struct {
	opts    Options
	pool    *redis.Pool
	own     *dialer // nil if the pool is the caller's
	closed  atomic.Bool
	corrupt atomic.Uint64
	mode    atomic.Int32 // see together
	cluster atomic.Bool  // the server said that it is a node of one
	seen    seen
}

// New returns a Store on the caller's pool, which stays the caller's: its
// settings are untouched, and Close does not close it. No connection is made:
// [Store.Check] proves that the server and the account will do.
//
// Calls end with their context. Without a deadline they are bounded only by
// the pool's time-outs, so give it dial, read and write time-outs. Set
// IdleTimeout below the server's, or a TestOnBorrow, so that a write does not
// meet a connection that the server closed long ago. Connections must support
// time-outs and contexts, as those of redis.Dial do.
func New(pool *redis.Pool, opts Options) (*Store, error) {
	if pool == nil {
		return nil, errors.New("redis: New needs a pool")
	}
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Store{opts: opts, pool: pool}, nil
}

// Open connects to the server that savePath names, in one of these forms:
//
//	host:port
//	host:port,poolsize,password,dbnum,idletimeout       (Beego's; any part after the first may be missing or empty)
//	redis://[user:password@]host[:port][/db]            rediss:// with TLS
//	unix:///path[?db=1&password=…]                      also unix:/path and redis+unix://[user:password@]/path
//
// A URL may also say ?prefix=, ?poolsize= and ?idletimeout= (seconds). The
// defaults are port 6379, database 0, at most 100 connections, closed after 4
// minutes idle or an hour. Every call ends within 3 seconds, waiting for a
// free connection included.
//
// A server that cannot be reached, refuses the password or the database, lacks
// a command or forbids it (see [Store.Check]), is a replica or a node of a Redis
// Cluster is an error now; none repeats a password.
func Open(savePath string) (*Store, error) {
	s, err := Connect(savePath)
	if err != nil {
		return nil, err
	}
	err = s.prove(context.Background())
	if err == nil && s.cluster.Load() {
		err = errCluster
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("redis: open %s: %w", s.own.target, err), s.Close())
	}
	return s, nil
}

// Connect is Open for tools that look into what is wrong with a server: it asks
// for no more than PING.
func Connect(savePath string) (*Store, error) {
	target, err := parse(savePath)
	if err != nil {
		return nil, fmt.Errorf("redis: open: %w", err)
	}
	s, err := open(target)
	if err != nil {
		return nil, err
	}
	if _, err := s.run(context.Background(), once, func(l lease) (any, error) { return l.do("PING") }); err != nil {
		return nil, errors.Join(fmt.Errorf("redis: open %s: %w", target, err), s.Close())
	}
	return s, nil
}

func open(t target) (*Store, error) {
	opts, err := Options{Prefix: t.prefix}.withDefaults()
	if err != nil {
		return nil, err
	}
	d := newDialer(t)
	return &Store{opts: opts, own: d, pool: &redis.Pool{
		DialContext:         d.dial,
		TestOnBorrowContext: d.test,
		MaxIdle:             t.poolSize,
		IdleTimeout:         t.idle,
	}}, nil
}

// Close closes the connections that Open made; a caller's pool stays open.
// Calls after it are backend.ErrClosed. It is idempotent.
func (s *Store) Close() error {
	if s.closed.Swap(true) || s.own == nil {
		return nil
	}
	return s.pool.Close()
}

// Bounded reports whether every call ends by itself within 3 seconds, which
// is so for a Store that Open returned.
func (s *Store) Bounded() bool { return s.own != nil }

// Corrupt returns how often a key of ours held something that is no record
// of ours: truncated, overwritten by others, of another type or format. It
// was answered with backend.ErrNotFound, so that the user gets a new session
// and not an error for as long as the key lives.
func (s *Store) Corrupt() uint64 { return s.corrupt.Load() }

// Pool returns the pool in use, for its statistics.
func (s *Store) Pool() *redis.Pool { return s.pool }

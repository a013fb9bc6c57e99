// Package redis keeps sessions in Redis (7.0 or newer) or Valkey, through
// redigo. Import it for its name, "redis", or hand [New] a pool of your own.
//
// A session is one key, prefix + UUID, holding one string with everything in
// it; the server's own expiry ends it, so there is nothing to sweep, and an
// eviction loses whole sessions, never halves. Every key has a time to live
// at every moment. The sessions of a user are found through one sorted set a
// user, prefix + "@" + user. No request needs KEYS, SCAN or keyspace notifications.
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
// the keys prefix*; [Open] and Store.Check say which is missing. With HELLO as
// well, a login is one round trip and not two, and with SCAN there is a Count.
//
// # Cluster
//
// redigo follows no MOVED: for a Redis Cluster there are backend/goredis and
// backend/rueidis. Where the server does not say (to HELLO) that it is one
// server, each command and each script call touches exactly one key, and the
// index of a user is written before the record, which is written only if that
// succeeded, so all of it may pass a proxy.
//
// # Count
//
// Redis has no cheap count of the keys with a prefix, and a second key in every
// write to keep one would cost more than the number is worth: Store.Count has the
// server look at every key of the database (SCAN), in steps between which it serves
// others. It is for operators and gauges, not for requests.
package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/internal/redisengine"
)

// Name is what the backend is registered as.
const Name = "redis"

// DefaultPrefix starts the name of every key, unless [Options] say otherwise.
const DefaultPrefix = redisengine.DefaultPrefix

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
	_ backend.Counter          = (*Store)(nil)
	_ backend.Bounded          = (*Store)(nil)
	_ backend.Confirmer        = (*Store)(nil)
	_ backend.Durable          = (*Store)(nil)
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

	// Replicas is how many replicas must have a write that ends, replaces or
	// narrows a session (logout, Revoke, login, Renew) before it counts as
	// done; default 0, none. With 1, say, it is still there when the primary
	// dies and the replica with the most is promoted, as Sentinels and Redis
	// Cluster do; without, what the replicas had not received is undone: who
	// logged out is logged in again. If they do not follow, such a write is
	// backend.ErrNotReplicated, and the response a 503. It costs such a write
	// two WAITs. (appendfsync always protects from a power cut, not from a
	// failover; min-replicas-to-write narrows the window and does not close it.)
	Replicas int

	// ReplicaWait is how long a WAIT takes at most; default 500ms, at most 1s.
	ReplicaWait time.Duration

	// EveryWrite waits for replicas after every write: no value that was
	// stored is undone either.
	EveryWrite bool
}

// engine has the methods that all backends on Redis have in common.
type engine = redisengine.Store

// A Store keeps sessions in Redis. It is safe for concurrent use by any
// number of goroutines and processes.
//
// Besides those below it has the methods of [backend.Store],
// [backend.VersionedDeleter] and [backend.UserIndex]; Check(ctx) error, which
// proves that the server and the account will do (see [Open]); and Corrupt()
// uint64, how often a key of ours held something that is no record of ours.
type Store struct {
	*engine
	wire *wire
}

// New returns a Store on the caller's pool, which stays the caller's: its
// settings are untouched, and Close does not close it. No connection is made:
// Store.Check proves that the server and the account will do.
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
	w := &wire{pool: pool}
	e, err := redisengine.New(Name, w, redisengine.Options(opts))
	if err != nil {
		return nil, err
	}
	return &Store{engine: e, wire: w}, nil
}

// Open connects to the server that savePath names, in one of these forms:
//
//	host:port
//	host:port,poolsize,password,dbnum,idletimeout       (Beego's; any part after the first may be missing or empty)
//	redis://[user:password@]host[:port][/db]            rediss:// with TLS
//	unix:///path[?db=1&password=…]                      also unix:/path and redis+unix://[user:password@]/path
//	redis+sentinel://[user:password@]host1,host2,host3/name[?db=1&sentineluser=…&sentinelpassword=…]
//
// A URL may also say ?prefix=, ?poolsize= and ?idletimeout= (seconds; not with
// Sentinels), and ?replicas=, ?replicawait= (500ms, say) and ?everywrite=true, see [Options]. The
// defaults are port 6379, database 0, at most 100 connections, closed after 4
// minutes idle or an hour. Every call ends within 3 seconds, waiting for a
// free connection included.
//
// With Sentinels (rediss+sentinel:// for TLS to them and to the servers) the
// primary is the one that a majority of them names. They are asked each second,
// and when a call meets a replica or no answer; connections to any other server
// are closed.
//
// A server that cannot be reached, refuses the password or the database, lacks
// a command or forbids it (see Store.Check), is a replica or a node of a Redis
// Cluster is an error now; none repeats a password.
func Open(savePath string) (*Store, error) {
	s, err := Connect(savePath)
	if err != nil {
		return nil, err
	}
	err = s.Prove(context.Background())
	if s.Cluster() && (err == nil || redisengine.Refused(err, "CLUSTERDOWN")) {
		err = redisengine.ErrCluster
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("redis: open %s: %w", s.wire.own.target, err), s.Close())
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
	if _, err := s.wire.Do(context.Background(), redisengine.Command{Words: []any{"PING"}}); err != nil {
		return nil, errors.Join(fmt.Errorf("redis: open %s: %w", target, redisengine.Cured(err, target.tls != nil)), s.Close())
	}
	return s, nil
}

func open(t target) (*Store, error) {
	d := newDialer(t)
	w := &wire{own: d, pool: &redis.Pool{
		DialContext:         d.dial,
		TestOnBorrowContext: d.test,
		MaxIdle:             t.poolSize,
		IdleTimeout:         t.idle,
	}}
	e, err := redisengine.New(Name, w, redisengine.Options(t.opts))
	if err != nil {
		return nil, err
	}
	return &Store{engine: e, wire: w}, nil
}

// Close closes the connections that Open made; a caller's pool stays open.
// Calls after it are backend.ErrClosed. It is idempotent.
func (s *Store) Close() error {
	if !s.Shut() || s.wire.own == nil {
		return nil
	}
	return errors.Join(s.wire.pool.Close(), s.wire.own.close())
}

// Bounded reports whether every call ends by itself within 3 seconds, which
// is so for a Store that Open returned.
func (s *Store) Bounded() bool { return s.wire.own != nil }

// Pool returns the pool in use, for its statistics.
func (s *Store) Pool() *redis.Pool { return s.wire.pool }

// Sentinels asks every Sentinel of the save path whether enough of them could agree
// to replace the primary. It returns what those say who doubt it or do not answer,
// and nil for a Store that has none.
func (s *Store) Sentinels(ctx context.Context) error {
	if s.wire.own == nil || s.wire.own.watch == nil {
		return nil
	}
	return s.wire.own.watch.Quorum(ctx)
}

// Package rueidis keeps sessions in Redis (7.0 or newer) through rueidis: in one
// server, in a Redis Cluster, or in the primary that Sentinels name. Import it
// for its name, "rueidis", or hand [New] the client that you have.
//
// rueidis sends what many requests want at the same time in one write, over a few
// connections. The more requests run at once, the less each of them costs.
//
// It stores what backend/redis stores, under the same keys, so a program can go
// from one to the other and nobody is logged out. Load is one GET, Update one
// compare-and-swap script; see backend/redis for what a session is in Redis and
// what to provision. It is a module of its own, so that rueidis reaches only who
// imports it.
//
// # Cluster
//
// Each command and script touches one key. The index of a user is most often on
// another node than the session, so it is written first, and the session only if
// that succeeded: a call more at a login, and about once an hour. With a hash tag
// in Options.Prefix ("{shop}:") everything is in one slot, on one node.
//
// What a failover loses, and how [Options].Replicas prevents it, is in
// docs/scaling.md.
package rueidis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/rueidis"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/internal/redisengine"
)

// Name is what the backend is registered as.
const Name = "rueidis"

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
	// Prefix starts the name of every key; default "session:". It is made of
	// letters, digits and _ - . : / { }, at most 64.
	Prefix string

	// MaxBytes is the size above which a record is backend.ErrTooLarge: the
	// server's proto-max-bulk-len, if that is not the usual 512 MiB.
	MaxBytes int

	// Replicas is how many replicas must have a write that ends, replaces or
	// logs in a session before it counts as done, so that no failover undoes it;
	// default 0, none. If they do not follow, it is backend.ErrNotReplicated,
	// and most often nothing was done. It costs such a write two WAITs.
	Replicas int

	// ReplicaWait is how long a WAIT takes at most; default 500ms, at most 1s.
	ReplicaWait time.Duration

	// EveryWrite waits for replicas after every write.
	EveryWrite bool
}

// engine has the methods that all backends on Redis have in common.
type engine = redisengine.Store

// A Store keeps sessions in Redis. It is safe for concurrent use by any number of
// goroutines and processes.
//
// Besides those below it has the methods of [backend.Store],
// [backend.VersionedDeleter], [backend.UserIndex] and [backend.Confirmer];
// Check(ctx) error, which proves that the server and the account will do (see
// [Open]); and Corrupt() uint64, how often a key of ours held something that is no
// record of ours.
type Store struct {
	*engine
	wire  *wire
	place string // for errors
	own   bool   // the client is ours to close
}

// New returns a Store on the caller's client, which stays the caller's: Close does
// not close it. Nothing is sent: Store.Check proves that all will do.
//
// Calls end with their context, or where rueidis is making a connection, within
// ConnWriteTimeout after it. A write whose outcome is unknown is never sent again.
// Give the client a ConnWriteTimeout below a second, and for a cluster a
// ClusterOption.ShardsRefreshInterval of a second: rueidis finds out that a node
// is frozen by the one, and who has taken its place by the other.
//
// Replicas lag, and who has logged out would still be logged in there: so no
// command is IsReadOnly to the client's SendToReplicas. One that goes by other
// things must leave out the keys of sessions.
func New(client rueidis.Client, opts Options) (*Store, error) {
	if client == nil {
		return nil, errors.New("rueidis: New needs a client")
	}
	return newStore(&wire{client: client}, redisengine.Options(opts))
}

func newStore(w *wire, opts redisengine.Options) (*Store, error) {
	w.cluster = w.client.Mode() == rueidis.ClientModeCluster
	w.alone = w.client.Mode() == rueidis.ClientModeStandalone && w.watch == nil
	e, err := redisengine.New(Name, w, opts)
	if err != nil {
		return nil, err
	}
	return &Store{engine: e, wire: w}, nil
}

// Open connects to what savePath names, in one of these forms:
//
//	redis://[user:password@]host[:port][/db]
//	redis+cluster://[user:password@]host1[:port],host2,host3
//	redis+sentinel://[user:password@]host1[:port],host2,host3/name[?db=1&sentineluser=…&sentinelpassword=…]
//
// rediss://, rediss+cluster:// and rediss+sentinel:// are the same with TLS, which
// ?cafile= gives other certificates to trust than the system's. All may say
// ?prefix=, ?poolsize= (connections to each server for writes that wait, default 100), ?replicas=,
// ?replicawait= (500ms, say) and ?everywrite=true, see [Options].
//
// A cluster's hosts are some of its nodes, the others are found. With Sentinels
// the primary is the one that a majority of them names; they are asked each
// second, and when a call meets a replica or no answer, and connections to any
// other server are closed. Every call ends within 3 seconds, all tries included.
//
// What cannot be reached, refuses the password, lacks a command or forbids it is
// an error now; none repeats a password.
func Open(savePath string) (*Store, error) {
	s, err := Connect(savePath)
	if err != nil {
		return nil, err
	}
	err = s.Prove(context.Background())
	if s.Cluster() && !s.wire.cluster && (err == nil || redisengine.Refused(err, "CLUSTERDOWN")) {
		err = errors.New("this server is a node of a Redis Cluster: write redis+cluster:// and the addresses of some nodes")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("rueidis: open %s: %w", s.place, err), s.Close())
	}
	return s, nil
}

// Connect is Open for tools that look into what is wrong with a server: it asks
// for no more than PING.
func Connect(savePath string) (*Store, error) {
	place, err := redisengine.ParsePlace(savePath)
	if err != nil {
		return nil, fmt.Errorf("rueidis: open: %w", err)
	}
	w, err := dial(place, usual)
	if err != nil {
		return nil, fmt.Errorf("rueidis: open %s: %w", place, redisengine.Cured(err, place.TLS != nil))
	}
	s, err := newStore(w, place.Options)
	if err != nil {
		return nil, errors.Join(err, w.close())
	}
	s.place, s.own = place.String(), true
	if _, err := w.Do(context.Background(), redisengine.Command{Words: []any{"PING"}, Again: true}); err != nil {
		return nil, errors.Join(fmt.Errorf("rueidis: open %s: %w", s.place, redisengine.Cured(err, place.TLS != nil)), s.Close())
	}
	return s, nil
}

// Close closes the client that Open made; a caller's stays open. Calls after it
// are backend.ErrClosed. It is idempotent.
func (s *Store) Close() error {
	if !s.Shut() || !s.own {
		return nil
	}
	return s.wire.close()
}

// Bounded reports whether every call ends by itself within 3 seconds, which is so
// for a Store that Open returned.
func (s *Store) Bounded() bool { return s.wire.limit > 0 }

// Sentinels asks every Sentinel of the save path whether enough of them could agree
// to replace the primary. It returns what those say who doubt it or do not answer,
// and nil for a Store that has none.
func (s *Store) Sentinels(ctx context.Context) error {
	if s.wire.watch == nil {
		return nil
	}
	return s.wire.watch.Quorum(ctx)
}

// Client returns the client in use.
func (s *Store) Client() rueidis.Client { return s.wire.client }

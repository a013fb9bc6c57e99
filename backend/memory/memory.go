// Package memory keeps sessions in this process's memory: fast, bounded, and
// gone when the process ends.
//
// Its registered name is "memory"; the save path is empty, or the largest
// number of sessions in digits.
//
// The store cannot be made to eat the machine: at [Options.MaxSessions] or
// [Options.MaxBytes] each new session pushes out another, a visitor's another
// visitor's and a user's first one of the same user (see [Store.Evicted]).
// Records are kept as they are handed over, so nothing is copied: a Load
// allocates nothing.
package memory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// Name is the name that the package is registered under.
const Name = "memory"

const (
	// DefaultMaxSessions is what Options.MaxSessions is when it is zero.
	DefaultMaxSessions = 1_000_000

	// DefaultMaxBytes is what Options.MaxBytes is when it is zero: 1 GiB.
	DefaultMaxBytes = 1 << 30
)

// Options bound a [Store]. The zero value is the default.
type Options struct {
	// MaxSessions is the number of sessions kept; default 1,000,000. A
	// sixteenth of them, and of MaxBytes, is never taken by sessions of
	// users, so that there is room for those who are about to log in.
	MaxSessions int

	// MaxBytes is the memory that the sessions may take: of each, its Data
	// and 160 bytes for the record and its place in the index, and if it
	// has a User that name and 100 bytes more. That is about what the heap
	// shows. Default 1 GiB; math.MaxInt64 is as good as no bound. A record
	// that is larger by itself is refused with [backend.ErrTooLarge].
	MaxBytes int64
}

// What a record takes besides Data and User, as measured at a million: its
// entry, its slot in the map, and the air in both; its place in the user index.
const (
	overhead     = 160
	userOverhead = 100
)

// A Store keeps records in memory. It is safe for concurrent use and has all
// the optional interfaces of package backend. Its calls do not wait for
// anything but short locks, so they look at no context, except for Sweep.
type Store struct {
	shards   []shard
	users    userIndex
	max      bound // of all sessions
	maxNamed bound // of those that have a user
	closed   atomic.Bool

	_ [64]byte // what follows is written often; keep it off the lines above

	all       usage // records, expired ones included
	named     usage // of those, the ones that have a user
	evicted   atomic.Uint64
	sweepFrom atomic.Uint32 // the shard where the next Sweep begins

	evicting sync.Mutex // one eviction at a time, so that there are not more than needed
	hand     uint32     // the shard that the next eviction tries first; guarded by evicting
}

var (
	_ backend.Store            = (*Store)(nil)
	_ backend.VersionedDeleter = (*Store)(nil)
	_ backend.Sweeper          = (*Store)(nil)
	_ backend.UserIndex        = (*Store)(nil)
	_ backend.Lister           = (*Store)(nil)
	_ backend.Counter          = (*Store)(nil)
	_ backend.Comparer         = (*Store)(nil)
	_ backend.InProcess        = (*Store)(nil)
	_ backend.Bounded          = (*Store)(nil)
	_ io.Closer                = (*Store)(nil)
)

func init() { backend.Register(Name, open) }

// open is the backend.Opener. Its error does not repeat savePath: it may be
// the DSN of another backend, with a password.
func open(savePath string) (backend.Store, error) {
	if savePath == "" {
		return New(Options{})
	}
	n, err := strconv.Atoi(savePath)
	if err != nil || n <= 0 {
		return nil, errors.New("memory: open: the save path must be empty, or the largest number of sessions (such as 100000)")
	}
	return New(Options{MaxSessions: n})
}

// New returns an empty store. A negative option is an error.
func New(o Options) (*Store, error) {
	if o.MaxSessions < 0 {
		return nil, fmt.Errorf("memory: Options.MaxSessions %d: must not be negative; 0 is the default, %d", o.MaxSessions, DefaultMaxSessions)
	}
	if o.MaxBytes < 0 {
		return nil, fmt.Errorf("memory: Options.MaxBytes %d: must not be negative; 0 is the default, %d", o.MaxBytes, DefaultMaxBytes)
	}
	if o.MaxSessions == 0 {
		o.MaxSessions = DefaultMaxSessions
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	return &Store{
		shards: make([]shard, shardsFor(o.MaxSessions)),
		users:  newUserIndex(),
		max:    bound{int64(o.MaxSessions), o.MaxBytes},
		maxNamed: bound{
			sessions: int64(o.MaxSessions - min(o.MaxSessions-1, max(1, o.MaxSessions/reserve))),
			bytes:    o.MaxBytes - o.MaxBytes/reserve,
		},
	}, nil
}

// Load returns the live record of id, or backend.ErrNotFound. It allocates
// nothing, and readers do not wait for each other.
func (s *Store) Load(_ context.Context, id uuid.UUID) (backend.Record, error) {
	return s.LoadAt(id, nowMilli())
}

// LoadAt is Load for a caller who has just read the clock: now is in Unix
// milliseconds.
func (s *Store) LoadAt(id uuid.UUID, now int64) (backend.Record, error) {
	sh := s.shard(id)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	e := sh.live(id, now)
	if e == nil {
		return backend.Record{}, s.notFound()
	}
	e.markRead(now)
	return e.public(), nil
}

// Create stores a new record; backend.ErrExists if there is a live one of its
// ID, backend.ErrTooLarge if it alone is over MaxBytes, or is an anonymous one
// for which all other anonymous ones would not make room. At a bound it
// lets another session go; while several Creates are under way there may, for
// a moment, be as many more.
func (s *Store) Create(_ context.Context, rec backend.Record) error {
	r := newRecord(rec)
	if err := s.fits("create", &r); err != nil {
		return err
	}
	if err := s.insert(r); err != nil {
		return err
	}
	return s.makeRoom(rec.ID, rec.User)
}

func (s *Store) insert(r record) error {
	now := nowMilli()
	sh := s.shard(r.id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s.closed.Load() {
		return backend.ErrClosed
	}
	if sl, ok := sh.index[r.id]; ok {
		if !sh.at(sl).expired(now) {
			return backend.ErrExists
		}
		s.remove(sh, sl)
	}
	s.add(sh, r, now)
	return nil
}

// Update replaces the record if its stored version is rec.Version:
// backend.ErrConflict if it is another, backend.ErrNotFound if there is no
// live record, backend.ErrTooLarge as for Create.
func (s *Store) Update(_ context.Context, rec backend.Record) error {
	r := newRecord(rec)
	if err := s.fits("update", &r); err != nil {
		return err
	}
	if err := s.replace(r, rec.Version, rec.Shorten); err != nil {
		return err
	}
	return s.makeRoom(rec.ID, rec.User)
}

func (s *Store) replace(r record, version uint64, shorten bool) error {
	now := nowMilli()
	sh := s.shard(r.id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	old := sh.live(r.id, now)
	switch {
	case old == nil:
		return s.notFound()
	case old.version != version:
		return backend.ErrConflict
	}
	r.version = version + 1
	if !shorten {
		r.expires = max(r.expires, old.expires)
	}
	if r.user == old.user {
		r.user = old.user // the copy that the index has, too
		s.account(r.kind(), 0, r.cost()-old.cost())
		old.set(r, now)
		return nil
	}
	s.remove(sh, sh.index[r.id])
	s.add(sh, r, now)
	return nil
}

// Touch moves the expiry of a live record to a later instant;
// backend.ErrNotFound if there is no live record.
func (s *Store) Touch(_ context.Context, id uuid.UUID, expires time.Time) error {
	now := nowMilli()
	sh := s.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e := sh.live(id, now)
	if e == nil {
		return s.notFound()
	}
	e.expires = max(e.expires, expires.UnixMilli())
	e.used.Store(now)
	return nil
}

// Delete removes the record of id, if there is one.
func (s *Store) Delete(_ context.Context, id uuid.UUID) error {
	sh := s.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s.closed.Load() {
		return backend.ErrClosed
	}
	if sl, ok := sh.index[id]; ok {
		s.remove(sh, sl)
	}
	return nil
}

// DeleteVersion removes the live record of id if its version is version:
// backend.ErrConflict if it is another, backend.ErrNotFound if there is none.
func (s *Store) DeleteVersion(_ context.Context, id uuid.UUID, version uint64) error {
	sh := s.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e := sh.live(id, nowMilli())
	switch {
	case e == nil:
		return s.notFound()
	case e.version != version:
		return backend.ErrConflict
	}
	s.remove(sh, sh.index[id])
	return nil
}

// Changed returns which of known have no live record, or one of another version.
// That is no use of them: see [Store.Evicted].
func (s *Store) Changed(_ context.Context, known []backend.Version) (changed []uuid.UUID, err error) {
	if s.closed.Load() {
		return nil, backend.ErrClosed
	}
	now := nowMilli()
	for _, k := range known {
		if !s.is(k, now) {
			changed = append(changed, k.ID)
		}
	}
	return changed, nil
}

func (s *Store) is(k backend.Version, now int64) bool {
	sh := s.shard(k.ID)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	e := sh.live(k.ID, now)
	return e != nil && e.version == k.Version
}

// InProcess marks the store as one that no other process can read.
func (s *Store) InProcess() {}

// Bounded reports true: no call waits for anything outside the process.
func (s *Store) Bounded() bool { return true }

// Close lets go of all records. Every later call returns backend.ErrClosed;
// closing again does nothing.
func (s *Store) Close() error {
	s.closed.Store(true)
	for i := range s.shards {
		s.shards[i].clear()
	}
	s.users.clear()
	for _, u := range []*usage{&s.all, &s.named} {
		u.sessions.Store(0)
		u.bytes.Store(0)
	}
	return nil
}

// notFound is what to say of a record that is not there. A closed store has
// no records, so that no call needs to look whether it is closed before.
func (s *Store) notFound() error {
	if s.closed.Load() {
		return backend.ErrClosed
	}
	return backend.ErrNotFound
}

// Format prints how much is stored, and nothing of what, whatever the verb.
func (s *Store) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "memory.Store(%d sessions, %d bytes)", s.all.sessions.Load(), s.all.bytes.Load())
}

func nowMilli() int64 { return time.Now().UnixMilli() }

// Package stored keeps one record in step with a store: it loads a record and
// verifies it, creates one, updates it by compare-and-swap, and deletes it, with
// every retry that conflicts and lost replies need. It knows nothing of HTTP,
// cookies, hooks, counters or locks: what became of a call is in its [Outcome].
package stored

import (
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/internal/record"
)

// The reasons why a record is not the session of some credentials, or not any
// more. [backend.ErrNotFound] is another.
var (
	// ErrSecret says that the secret is not the record's.
	ErrSecret = errors.New("stored: another secret")

	// ErrSuperseded is an ErrSecret with a reason: the secret was replaced.
	// Load says so for some seconds after it, Update and Delete ever.
	ErrSuperseded = fmt.Errorf("%w: it was replaced", ErrSecret)

	// ErrAbsolute says that the absolute timeout has passed.
	ErrAbsolute = errors.New("stored: past its absolute timeout")

	// ErrDamaged says that the record cannot be read.
	ErrDamaged = errors.New("stored: damaged")
)

// A damage is an ErrDamaged that reads as its cause.
type damage struct{ error }

func (d damage) Is(err error) bool { return err == ErrDamaged }

func (d damage) Unwrap() error { return d.error }

// supersededFor is how long after a renewal Load tells a replaced secret from
// any other that is wrong.
const supersededFor = 10 * time.Second

// A Store is a backend's store with what all its sessions have in common.
type Store struct {
	Backend backend.Store
	Can     backend.Abilities // of Backend

	// LoadAt is Backend.Load at now, in Unix ms, of a store that goes by the clock of
	// this process, and need not read it again; nil for all others.
	LoadAt func(id uuid.UUID, now int64) (backend.Record, error)

	Protect        record.Protection
	Patience       time.Duration // how long one call, with its retries, may take
	Idle, Absolute time.Duration // of sessions that have none of their own

	queues queues
}

// A Copy is what somebody knows of a record. The zero Copy is of none.
type Copy struct {
	Cred    record.Credentials
	Known   bool // Cred is set
	Exists  bool // the store has the record, as far as known
	Version uint64
	Expires int64 // Unix ms
	At      int64 // Unix ms: when it was loaded
	User    string
	Head    record.Head

	key cipher.AEAD // of Cred; nil until it is needed
}

// Now returns the time in Unix ms, which is how records keep it.
func Now() int64 { return time.Now().UnixMilli() }

// Timeouts returns the idle and absolute timeout that hold for a session with
// those of its own.
func (s *Store) Timeouts(idle, absolute time.Duration) (time.Duration, time.Duration) {
	if idle == 0 {
		idle = s.Idle
	}
	if absolute == 0 {
		absolute = max(s.Absolute, idle)
	}
	return idle, absolute
}

// Expiry returns when a session with these timeouts of its own expires that is
// active at now. Both are in Unix ms.
func (s *Store) Expiry(cred *record.Credentials, idle, absolute time.Duration, now int64) int64 {
	idle, absolute = s.Timeouts(idle, absolute)
	return min(now+idle.Milliseconds(), record.CreatedMillis(cred.ID())+absolute.Milliseconds())
}

// Load makes c, which must be zero, a copy of the record that cred names, and
// returns its values. An error of this package, or [backend.ErrNotFound], says
// that it is no session of cred's. For ErrAbsolute c has the record's version and
// user; other errors are the store's.
func (s *Store) Load(ctx context.Context, cred *record.Credentials, c *Copy) (record.Body, error) {
	var rec backend.Record
	now, err := s.load(ctx, cred.ID(), &rec)
	if err != nil {
		return record.Body{}, err
	}
	return s.verify(c, &rec, cred, now)
}

// load makes rec the live record of id, and returns the time, in Unix ms: that
// when it was live, or soon after.
func (s *Store) load(ctx context.Context, id uuid.UUID, rec *backend.Record) (now int64, err error) {
	if s.LoadAt != nil {
		now = Now()
		*rec, err = s.LoadAt(id, now)
		return now, err
	}
	*rec, err = s.Backend.Load(ctx, id)
	return Now(), err
}

// verify makes c the copy of rec if that is the session of cred at now: the pure
// part of loading.
func (s *Store) verify(c *Copy, rec *backend.Record, cred *record.Credentials, now int64) (record.Body, error) {
	h := &c.Head
	if err := h.Parse(rec.Data); err != nil {
		return record.Body{}, damage{err}
	}
	c.At = now
	if !cred.Matches(&h.Hash) {
		if h.Renewed != 0 && c.At*1000-h.Renewed < supersededFor.Microseconds() {
			return record.Body{}, ErrSuperseded
		}
		return record.Body{}, ErrSecret
	}
	values, key, err := record.Open(cred, rec.User, rec.Data, h, s.Protect)
	if err != nil {
		return record.Body{}, damage{err}
	}
	c.Version, c.User = rec.Version, rec.User
	if _, absolute := s.Timeouts(h.Idle, h.Absolute); record.CreatedMillis(rec.ID)+absolute.Milliseconds() <= c.At {
		return record.Body{}, ErrAbsolute
	}
	if h.Ended(c.At) {
		return record.Body{}, backend.ErrNotFound // as if the store had not found it
	}
	c.Cred, c.Known, c.Exists, c.key = *cred, true, true, key
	c.Expires = rec.Expires.UnixMilli()
	if h.Ends != 0 {
		c.Expires = min(c.Expires, h.Ends)
	}
	return values, nil
}

// Due reports whether the session of c has to be looked at again at now, in Unix
// ms, although its record has not changed: it has expired, unless somebody has
// touched it, or is over by what is in the head.
func (s *Store) Due(c *Copy, now int64) bool {
	_, absolute := s.Timeouts(c.Head.Idle, c.Head.Absolute)
	return c.Expires <= now || record.CreatedMillis(c.Cred.ID())+absolute.Milliseconds() <= now
}

// Touch moves the expiry of a record to expires, in Unix ms.
func (s *Store) Touch(ctx context.Context, id uuid.UUID, expires int64) (Outcome, error) {
	err := s.Backend.Touch(ctx, id, time.UnixMilli(expires))
	switch {
	case err == nil:
		return Outcome{Moved: true}, nil
	case errors.Is(err, backend.ErrNotFound):
		return Outcome{Lost: backend.ErrNotFound}, nil
	}
	return Outcome{Op: "touch"}, err
}

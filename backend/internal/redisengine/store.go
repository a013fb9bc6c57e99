package redisengine

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// maxRounds bounds the calls that answer "once more, with this": each round
// more needs another request to have come between.
const maxRounds = 4

// What the scripts answer.
const (
	done      = 1
	another   = 0 // it has another version; -1 is no record
	broken    = -2
	unindexed = -3
)

// Load returns the live record of id, with one GET. The server's clock says
// what is live. If the pooled connection turns out to be dead, it tries again
// on a fresh one.
func (s *Store) Load(ctx context.Context, id uuid.UUID) (backend.Record, error) {
	key := s.Key(id)
	reply, err := s.do(ctx, Command{Words: []any{"GET", key}, Key: key, Again: true})
	if err != nil {
		return backend.Record{}, s.failed("load", id, err)
	}
	value, ok := reply.([]byte)
	if !ok { // nil
		return backend.Record{}, backend.ErrNotFound
	}
	rec, ok := Decode(id, value)
	if !ok {
		s.corrupt.Add(1)
		return backend.Record{}, backend.ErrCorrupt
	}
	s.seen.note(rec)
	return rec, nil
}

// Create stores a new record, in one round trip: without a user a SET NX
// PXAT, with one a script that enters it in the index first, so that the index
// is never without a record that exists. If the index cannot be written, nor is
// the record. A key that holds anything at all is ErrExists. With Confirm and
// Options.Replicas it is two, each with a WAIT behind it.
func (s *Store) Create(ctx context.Context, rec backend.Record) error {
	if err := s.check(rec); err != nil {
		return err
	}
	key, value, wait := s.Key(rec.ID), Encode(rec, 1), s.waits(rec.Confirm)
	if rec.Confirm {
		if err := s.ready(ctx, key); err != nil {
			return s.failed("create", rec.ID, err)
		}
	}
	var reply any
	var err error
	if rec.User == "" {
		reply, err = s.do(ctx, s.waiting(Command{Words: []any{"SET", key, value, "NX", "PXAT", milli(rec.Expires)}, Key: key}, wait))
	} else {
		reply, err = s.indexed(ctx, rec, call{key: key, wait: wait, args: []any{"create", value}})
	}
	if err != nil {
		return s.failed("create", rec.ID, err)
	}
	if reply == nil {
		return backend.ErrExists
	}
	s.seen.note(rec)
	return nil
}

// Update replaces the record if it has rec.Version, with one script call;
// when the user is new or the index entry due, that is entered first, in the
// same round trip. If a Touch has meanwhile moved the expiry beyond
// rec.Expires, that is kept. With Confirm and Options.Replicas there is one round
// trip more before, and each has a WAIT behind it.
func (s *Store) Update(ctx context.Context, rec backend.Record) error {
	if err := s.check(rec); err != nil {
		return err
	}
	op := "update"
	if rec.Shorten {
		op = "replace"
	}
	key, wait := s.Key(rec.ID), s.waits(rec.Confirm)
	if rec.Confirm {
		if err := s.readyAgain(ctx, key); err != nil {
			return s.failed("update", rec.ID, err)
		}
	}
	for range maxRounds {
		code, err := number(s.write(ctx, rec, call{key: key, wait: wait, args: []any{op, stamp(rec.Version), Encode(rec, rec.Version+1)}}))
		switch {
		case err != nil:
			return s.failed("update", rec.ID, err)
		case code == unindexed:
			s.seen.forget(rec.ID)
		default:
			if code == done {
				s.seen.note(rec)
			}
			return s.verdict(code)
		}
	}
	return fmt.Errorf("%s: update session %v: others change it all the time", s.name, rec.ID)
}

// write makes the call of an Update, with the index where that is due.
func (s *Store) write(ctx context.Context, rec backend.Record, c call) (any, error) {
	switch {
	case rec.User == "":
	case s.seen.covers(rec):
		c.args = append(c.args, atUser+len(rec.User)-1)
	default:
		return s.indexed(ctx, rec, c)
	}
	return s.script(ctx, c)
}

// Touch moves the expiry with one script call. For a session with a user it
// also renews the entry in the index, about once an hour: in the same round
// trip if this Store has seen the session lately, or else in a second one. If
// the pooled connection turns out to be dead, it tries again on a fresh one.
func (s *Store) Touch(ctx context.Context, id uuid.UUID, expires time.Time) error {
	rec := backend.Record{ID: id, Expires: expires}
	rec.User = s.seen.due(rec)
	key := s.Key(id)
	for range maxRounds {
		touch := call{key: key, again: true, wait: s.waits(false), args: []any{"touch", milli(expires), rec.User}}
		var reply any
		var err error
		if rec.User == "" {
			reply, err = s.script(ctx, touch)
		} else {
			reply, err = s.indexed(ctx, rec, touch)
		}
		if err != nil {
			return s.failed("touch", id, err)
		}
		switch reply := reply.(type) {
		case int64:
			return s.verdict(reply)
		case []byte:
			rec.User = string(reply)
		default:
			return fmt.Errorf("%s: touch session %v: unexpected answer of type %T", s.name, id, reply)
		}
	}
	return fmt.Errorf("%s: touch session %v: its user changes all the time", s.name, id)
}

// Delete removes the record, whatever version it has, and its entry in the
// user's index: one script call, or two round trips if this Store has not seen
// the session lately. If its outcome is unknown, it is tried again. With
// Options.Replicas there is one more before, and each has a WAIT behind it, also
// if there is no record: nil says that none will come back.
func (s *Store) Delete(ctx context.Context, id uuid.UUID) error {
	reply, err := s.remove(ctx, id, call{again: true, args: []any{"remove", ""}})
	if err != nil {
		return fmt.Errorf("%s: delete session %v: %w", s.name, id, err)
	}
	s.forget(ctx, id, reply)
	return nil
}

// DeleteVersion removes the record if it has that version, as Delete does.
func (s *Store) DeleteVersion(ctx context.Context, id uuid.UUID, version uint64) error {
	reply, err := s.remove(ctx, id, call{args: []any{"delete", stamp(version)}})
	if err != nil {
		return s.failed("delete", id, err)
	}
	if code, ok := reply.(int64); ok {
		return s.verdict(code)
	}
	s.forget(ctx, id, reply)
	return nil
}

// remove makes the call of a Delete. What it returns of a record whose index
// has still to be told is the user.
func (s *Store) remove(ctx context.Context, id uuid.UUID, c call) (any, error) {
	c.key, c.wait = s.Key(id), s.Confirms()
	if err := s.ready(ctx, c.key); err != nil {
		return nil, err
	}
	if user := s.seen.user(id); user != "" && s.together(ctx) {
		c.args = append(c.args, user)
		c = c.with(s.Index(user), id[:])
	}
	return s.script(ctx, c)
}

// forget removes the entry of a record that has just been removed from the
// index of its user, if reply names one. If that fails, the record is gone all
// the same: ByUser will find the entry stale. Nobody enters it again meanwhile:
// whoever creates a record takes a new ID.
func (s *Store) forget(ctx context.Context, id uuid.UUID, reply any) {
	if user, ok := reply.([]byte); ok {
		index := s.Index(string(user))
		_, _ = s.do(ctx, Command{Words: []any{"ZREM", index, id[:]}, Key: index, Again: true})
	}
}

// Key returns the name of a session's key: the prefix and the UUID as text.
func (s *Store) Key(id uuid.UUID) string {
	var digits [32]byte
	hex.Encode(digits[:], id[:])
	b := make([]byte, 0, maxPrefix+36)
	b = append(b, s.opts.Prefix...)
	b = append(b, digits[:8]...)
	for i := 8; i < 20; i += 4 {
		b = append(b, '-')
		b = append(b, digits[i:i+4]...)
	}
	b = append(b, '-')
	return string(append(b, digits[20:]...))
}

// check refuses what cannot be stored.
func (s *Store) check(rec backend.Record) error {
	if len(rec.User) > backend.MaxUser {
		return fmt.Errorf("%s: user name of %d bytes: %w", s.name, len(rec.User), backend.ErrUser)
	}
	if size := atUser + len(rec.User) + len(rec.Data); size > s.opts.MaxBytes {
		return fmt.Errorf("%s: record of %d bytes, %d at most: %w", s.name, size, s.opts.MaxBytes, backend.ErrTooLarge)
	}
	return nil
}

// verdict turns a script's answer about an existing record into an error.
func (s *Store) verdict(code int64) error {
	switch code {
	case done:
		return nil
	case another:
		return backend.ErrConflict
	case broken:
		s.corrupt.Add(1)
		return backend.ErrCorrupt
	}
	return backend.ErrNotFound
}

// failed wraps err, unless it says that the key holds no string: that is a
// broken record, and broken records are not found.
func (s *Store) failed(verb string, id uuid.UUID, err error) error {
	if Refused(err, "WRONGTYPE") {
		s.corrupt.Add(1)
		return backend.ErrCorrupt
	}
	return fmt.Errorf("%s: %s session %v: %w", s.name, verb, id, s.explain(err))
}

package redis

import (
	"context"
	"fmt"
	"strconv"

	"github.com/gomodule/redigo/redis"
	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// The index of a user is a sorted set of session IDs (16 bytes each) that has
// every session of the user and perhaps some that are gone:
//
//   - An entry is made or renewed before the record is written and never
//     removed with it, so no crash and no race can leave a session out.
//   - An entry stands until the end of the hour in which its session
//     expires. So a Touch must renew it only when it moves the expiry into
//     another hour, and needs to know the user only then; nor must an Update
//     that changes neither user nor hour.
//   - Reading checks each entry against the session's own record and removes
//     those that are stale, but for those renewed within the last minute:
//     their record may be on its way.
//
// The score is a time in milliseconds that says both: its hour is the one at
// whose beginning the entry ends, the rest is the time of the last renewal,
// within any hour. The set itself expires with its last entry.

const (
	loadBatch = 128 // records asked for in one round trip
	dropBatch = 1000
)

// enter is the call that makes or renews the index entry of rec.
func (s *Store) enter(rec backend.Record) call {
	return call{s.index(rec.User), []any{"index", rec.ID[:], milli(rec.Expires)}}
}

// index is the key of a user's index. The @, which no prefix has, keeps it
// apart from every session's.
func (s *Store) index(user string) string { return s.opts.Prefix + "@" + user }

// ByUser returns the live sessions of user: one round trip for the list, one
// more for every 128 entries in it, and one if some of them are stale. It
// needs memory for all of them. The empty user has none.
func (s *Store) ByUser(ctx context.Context, user string) ([]backend.Record, error) {
	if user == "" || len(user) > backend.MaxUser {
		return nil, nil
	}
	ids, err := redis.ByteSlices(s.run(ctx, again, func(l lease) (any, error) { return l.do("ZRANGE", s.index(user), 0, -1) }))
	if err != nil {
		return nil, fmt.Errorf("redis: list a user's sessions: %w", err)
	}
	var live []backend.Record
	var stale []any
	for len(ids) > 0 {
		batch := ids[:min(loadBatch, len(ids))]
		ids = ids[len(batch):]
		recs, gone, err := s.loadOf(ctx, user, batch)
		if err != nil {
			return nil, fmt.Errorf("redis: load a user's sessions: %w", err)
		}
		live, stale = append(live, recs...), append(stale, gone...)
	}
	if err := s.drop(ctx, user, stale); err != nil {
		return nil, fmt.Errorf("redis: tidy a user's index: %w", err)
	}
	return live, nil
}

// loadOf loads the records of ids in one round trip and returns those that
// are the user's, and the IDs of the others.
func (s *Store) loadOf(ctx context.Context, user string, ids [][]byte) (recs []backend.Record, stale []any, err error) {
	values, err := redis.Values(s.run(ctx, again, func(l lease) (any, error) {
		for _, id := range ids {
			if err := l.c.Send("GET", s.opts.Prefix+formatID(id)); err != nil {
				return nil, err
			}
		}
		return l.do("")
	}))
	if err != nil {
		return nil, nil, err
	}
	for i, value := range values {
		switch value := value.(type) {
		case redis.Error:
			if !wrongType(value) {
				return nil, nil, value
			}
		case []byte:
			id, err := uuid.FromBytes(ids[i])
			if rec, ok := decode(id, value); ok && err == nil && rec.User == user {
				recs = append(recs, rec)
				continue
			}
		}
		stale = append(stale, ids[i])
	}
	return recs, stale, nil
}

// drop removes entries from the user's index that were not renewed just now.
func (s *Store) drop(ctx context.Context, user string, ids []any) error {
	for len(ids) > 0 {
		n := min(dropBatch, len(ids))
		args := append([]any{"unindex"}, ids[:n]...)
		ids = ids[n:]
		if _, err := s.run(ctx, again, func(l lease) (any, error) { return l.script(call{s.index(user), args}) }); err != nil {
			return err
		}
	}
	return nil
}

// formatID prints an ID as it is in a key; one that is none becomes the name
// of a key that does not exist.
func formatID(id []byte) string {
	u, err := uuid.FromBytes(id)
	if err != nil {
		return "?" + strconv.Itoa(len(id))
	}
	return u.String()
}

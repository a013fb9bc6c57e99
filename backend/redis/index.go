package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/gomodule/redigo/redis"
	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// The index of a user is a sorted set of session IDs (16 bytes each) that has
// every session of the user and perhaps some that are gone:
//
//   - An entry is made or renewed before the record is written, which is
//     written only if that succeeded, and removed after the record was: so no
//     crash, no right that is missing and no race can leave a session out.
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
	loadBatch = 128                                         // records asked for in one round trip
	headBytes = atUser + backend.MaxUser + backend.HeadSize // of each of them
	dropBatch = 1000
)

// indexed makes a call on a record once its user's index has the entry. Where
// the two keys are on one server, that is one atomic script; else two calls,
// one after the other, and the second only if the first succeeded.
func (s *Store) indexed(ctx context.Context, r repeat, rec backend.Record, c call) (any, error) {
	if s.together(ctx) {
		c = c.with(s.index(rec.User), rec.ID[:])
		return s.run(ctx, r, func(l lease) (any, error) { return l.script(c) })
	}
	enter := call{key: s.index(rec.User), args: []any{"index", rec.ID[:], milli(rec.Expires)}}
	return s.run(ctx, r, func(l lease) (any, error) {
		_, wrong := l.script(enter)
		if wrong != nil && !(c.args[0] == "touch" && refused(wrong, wrongIndex)) {
			return nil, wrong
		}
		reply, err := l.script(c)
		if err == nil {
			err = wrong // the session lives on all the same
		}
		return reply, err
	})
}

// wrongIndex is the code of the script's error about an index that is none.
const wrongIndex = "INDEXTYPE"

// explain says what to do about an index that is none.
func (s *Store) explain(err error) error {
	if !refused(err, wrongIndex) {
		return err
	}
	return fmt.Errorf(`the key of the user's index, %q and the user's name, holds something else than a sorted set: `+
		`remove it, or give this program an Options.Prefix of its own: %w`, s.index(""), err)
}

// What is known about the server, for together.
const (
	unknownMode = iota
	oneServer
	sharded
)

// together reports whether the record and the index of a user are on one
// server, where a script may touch both. A server that may not be asked, or a
// proxy that does not know, counts as many.
func (s *Store) together(ctx context.Context) bool {
	if mode := s.mode.Load(); mode != unknownMode {
		return mode == oneServer
	}
	reply, err := s.run(ctx, again, func(l lease) (any, error) { return l.do("HELLO") })
	return s.learn(reply, err) == oneServer
}

// learn remembers what the server says in reply to HELLO.
func (s *Store) learn(reply any, err error) int32 {
	if _, ok := errors.AsType[redis.Error](err); err != nil && !ok {
		return unknownMode // no reply: the next call asks again
	}
	mode := int32(sharded)
	switch helloMode(reply) {
	case "standalone":
		mode = oneServer
	case "cluster":
		s.cluster.Store(true)
		if tagged(s.opts.Prefix) {
			mode = oneServer
		}
	}
	s.mode.Store(mode)
	return mode
}

// helloMode returns the mode in a reply to HELLO, or "".
func helloMode(reply any) string {
	fields, _ := reply.([]any)
	for i := 0; i+1 < len(fields); i += 2 {
		if name, _ := fields[i].([]byte); string(name) == "mode" {
			mode, _ := fields[i+1].([]byte)
			return string(mode)
		}
	}
	return ""
}

// tagged reports whether prefix has a hash tag, which puts all keys into one
// slot of a cluster.
func tagged(prefix string) bool {
	_, rest, ok := strings.Cut(prefix, "{")
	tag, _, closed := strings.Cut(rest, "}")
	return ok && closed && tag != ""
}

// index is the key of a user's index. The @, which no prefix has, keeps it
// apart from every session's.
func (s *Store) index(user string) string { return s.opts.Prefix + "@" + user }

// ByUser returns the live sessions of user, of each no more than what a list
// needs: one round trip for the list, one more for every 128 entries in it, and
// one if some of them are stale. It needs less than 1 KB of memory for each. The
// empty user has none.
func (s *Store) ByUser(ctx context.Context, user string) ([]backend.Record, error) {
	if user == "" || len(user) > backend.MaxUser {
		return nil, nil
	}
	ids, err := redis.ByteSlices(s.run(ctx, again, func(l lease) (any, error) { return l.do("ZRANGE", s.index(user), 0, -1) }))
	if err != nil {
		if wrongType(err) {
			err = s.explain(redis.Error(wrongIndex + " " + err.Error()))
		}
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
			if err := l.c.Send("GETRANGE", s.opts.Prefix+formatID(id), 0, headBytes-1); err != nil {
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
				s.seen.note(rec)
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
		if _, err := s.run(ctx, again, func(l lease) (any, error) { return l.script(call{key: s.index(user), args: args}) }); err != nil {
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

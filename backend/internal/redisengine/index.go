package redisengine

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

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
// one after the other, and the second only if the first succeeded. Then the
// entry waits for replicas whatever the record does: the servers fail one by one.
func (s *Store) indexed(ctx context.Context, rec backend.Record, c call) (any, error) {
	if s.together(ctx) {
		return s.script(ctx, c.with(s.Index(rec.User), rec.ID[:]))
	}
	wrong := s.enter(ctx, rec, c.again)
	if wrong != nil && !(c.args[0] == "touch" && Refused(wrong, wrongIndex)) {
		return nil, wrong
	}
	reply, err := s.script(ctx, c)
	if err != nil {
		s.entries.slot(rec.ID).Store(nil) // whatever comes next does all of it
		return reply, err
	}
	return reply, wrong // with which the session lives on all the same
}

// enteredFor is how long an entry that was made is not made again. Nobody removes
// one within a minute but with its record.
const enteredFor = 5 * time.Second

// entries remembers which entries were made lately, so that a login that met a
// conflict is made again at once: with a call before it each time, it would never
// be the first among those that write all the time.
type entries [256]atomic.Pointer[entry]

type entry struct {
	sighting
	at time.Time
}

func (e *entries) slot(id uuid.UUID) *atomic.Pointer[entry] { return &e[id[15]] }

// enter makes or renews the entry of rec in its user's index.
func (s *Store) enter(ctx context.Context, rec backend.Record, again bool) error {
	slot := s.entries.slot(rec.ID)
	if e := slot.Load(); e != nil && e.id == rec.ID && e.user == rec.User && hour(rec.Expires) <= hour(e.expires) && time.Since(e.at) < enteredFor {
		return nil
	}
	began := time.Now()
	_, err := s.script(ctx, call{key: s.Index(rec.User), again: again, wait: s.opts.Replicas > 0, args: []any{"index", rec.ID[:], milli(rec.Expires)}})
	if err == nil {
		slot.Store(&entry{sighting{rec.ID, rec.User, rec.Expires}, began})
	}
	return err
}

// wrongIndex is the code of the script's error about an index that is none.
const wrongIndex = "INDEXTYPE"

// explain says what to do about an index that is none.
func (s *Store) explain(err error) error {
	if !Refused(err, wrongIndex) {
		return err
	}
	return fmt.Errorf(`the key of the user's index, %q and the user's name, holds something else than a sorted set: `+
		`remove it, or give this program an Options.Prefix of its own: %w`, s.Index(""), err)
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
	reply, err := s.wire.Mode(ctx)
	return s.learn(reply, err) == oneServer
}

// learn remembers the mode that the server says it runs in.
func (s *Store) learn(name string, err error) int32 {
	if _, refused := asRefusal(err); err != nil && !refused {
		return unknownMode // no reply: the next call asks again
	}
	mode := int32(sharded)
	switch name {
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

// tagged reports whether prefix has a hash tag, which puts all keys into one
// slot of a cluster.
func tagged(prefix string) bool {
	_, rest, ok := strings.Cut(prefix, "{")
	tag, _, closed := strings.Cut(rest, "}")
	return ok && closed && tag != ""
}

// Index is the key of a user's index. The @, which no prefix has, keeps it
// apart from every session's.
func (s *Store) Index(user string) string { return s.opts.Prefix + "@" + user }

// ByUser returns the live sessions of user, of each no more than what a list
// needs: one round trip for the list, one more for every 128 entries in it, and
// one if some of them are stale. It needs less than 1 KB of memory for each. The
// empty user has none.
func (s *Store) ByUser(ctx context.Context, user string) ([]backend.Record, error) {
	if user == "" || len(user) > backend.MaxUser {
		return nil, nil
	}
	index := s.Index(user)
	reply, err := s.do(ctx, Command{Words: []any{"ZRANGE", index, 0, -1}, Key: index, Again: true})
	if err != nil {
		if Refused(err, "WRONGTYPE") {
			err = s.explain(Refusal(wrongIndex + " " + err.Error()))
		}
		return nil, fmt.Errorf("%s: list a user's sessions: %w", s.name, err)
	}
	ids, _ := reply.([]any)
	var live []backend.Record
	var stale []any
	for len(ids) > 0 {
		batch := ids[:min(loadBatch, len(ids))]
		ids = ids[len(batch):]
		recs, gone, err := s.loadOf(ctx, user, batch)
		if err != nil {
			return nil, fmt.Errorf("%s: load a user's sessions: %w", s.name, err)
		}
		live, stale = append(live, recs...), append(stale, gone...)
	}
	if err := s.drop(ctx, user, stale); err != nil {
		return nil, fmt.Errorf("%s: tidy a user's index: %w", s.name, err)
	}
	return live, nil
}

// loadOf loads the records of ids in one round trip and returns those that
// are the user's, and the IDs of the others.
func (s *Store) loadOf(ctx context.Context, user string, ids []any) (recs []backend.Record, stale []any, err error) {
	cmds := make([]Command, len(ids))
	for i := range ids {
		key := s.opts.Prefix + formatID(ids[i])
		cmds[i] = Command{Words: []any{"GETRANGE", key, 0, headBytes - 1}, Key: key, Again: true}
	}
	values, err := s.many(ctx, cmds)
	if err != nil {
		return nil, nil, err
	}
	for i, value := range values {
		switch value := value.(type) {
		case Refusal:
			if !Refused(value, "WRONGTYPE") {
				return nil, nil, value
			}
		case []byte:
			id, known := parseID(ids[i])
			if rec, ok := Decode(id, value); ok && known && rec.User == user {
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
		if _, err := s.script(ctx, call{key: s.Index(user), again: true, args: args}); err != nil {
			return err
		}
	}
	return nil
}

// parseID reads an entry of an index.
func parseID(entry any) (uuid.UUID, bool) {
	b, _ := entry.([]byte)
	id, err := uuid.FromBytes(b)
	return id, err == nil
}

// formatID prints an ID as it is in a key; one that is none becomes the name
// of a key that does not exist.
func formatID(entry any) string {
	id, ok := parseID(entry)
	if !ok {
		return "?"
	}
	return id.String()
}

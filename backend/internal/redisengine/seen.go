package redisengine

import (
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

const seenSize = 4096

// seen remembers the sessions with a user that this Store met lately, a few
// thousand at most. It only saves work: a request loads its session before it
// writes or touches it, and one whose record has the user already needs no
// new entry in the index until the hour is over. The scripts verify it.
type seen [seenSize]atomic.Pointer[sighting]

type sighting struct {
	id      uuid.UUID
	user    string
	expires time.Time
}

// slot is where a session is remembered; the last bytes of an ID are random.
func (s *seen) slot(id uuid.UUID) *atomic.Pointer[sighting] {
	return &s[binary.BigEndian.Uint16(id[14:])%seenSize]
}

// note remembers a record as it is in the store.
func (s *seen) note(rec backend.Record) {
	if rec.User != "" {
		s.slot(rec.ID).Store(&sighting{rec.ID, rec.User, rec.Expires})
	}
}

// forget forgets what turned out to be wrong.
func (s *seen) forget(id uuid.UUID) { s.slot(id).Store(nil) }

// covers reports whether rec, when it is written, probably needs no new entry
// in the index.
func (s *seen) covers(rec backend.Record) bool {
	was := s.slot(rec.ID).Load()
	return was != nil && was.id == rec.ID && was.user == rec.User && hour(rec.Expires) <= hour(was.expires)
}

// user returns whose session it was when it was seen, or "".
func (s *seen) user(id uuid.UUID) string {
	if was := s.slot(id).Load(); was != nil && was.id == id {
		return was.user
	}
	return ""
}

// due returns the user whose index entry probably must be renewed when the
// session expires at rec.Expires.
func (s *seen) due(rec backend.Record) string {
	was := s.slot(rec.ID).Load()
	if was == nil || was.id != rec.ID || hour(rec.Expires) <= hour(was.expires) {
		return ""
	}
	return was.user
}

// hour numbers the hours, as session.lua does.
func hour(t time.Time) int64 { return milli(t) / time.Hour.Milliseconds() }

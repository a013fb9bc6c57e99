package backendtest

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// A toy is a store with at most one flaw, named as in the table of
// TestSuiteFindsFlaws. Without one it is correct.
type toy struct {
	flaw string

	mu     sync.Mutex // guards the rest
	recs   map[uuid.UUID]backend.Record
	first  map[uuid.UUID]time.Time // expiry at creation
	closed bool
}

func newToy(flaw string) *toy {
	return &toy{flaw: flaw, recs: make(map[uuid.UUID]backend.Record), first: make(map[uuid.UUID]time.Time)}
}

// early is how long before its time the flawed sweep takes a record, and how long it
// keeps it before it removes it: whoever touches one in time mostly comes between.
const early = 5 * time.Millisecond

// window is where a flawed store lets others in between two steps that should
// be one.
func (s *toy) window(d time.Duration) {
	s.mu.Unlock()
	time.Sleep(d)
	s.mu.Lock()
}

const moment = 200 * time.Microsecond

func (s *toy) ready(ctx context.Context) error {
	if s.closed && s.flaw != "works when closed" {
		return backend.ErrClosed
	}
	if s.flaw == "ignores the context" {
		return nil
	}
	return ctx.Err()
}

func (s *toy) key(id uuid.UUID) uuid.UUID {
	if s.flaw == "cuts IDs" {
		id[15] &= 0xfe
	}
	return id
}

func (s *toy) live(id uuid.UUID) (backend.Record, bool) {
	rec, ok := s.recs[s.key(id)]
	return rec, ok && time.Now().Before(rec.Expires)
}

// kept is rec as this store keeps it.
func (s *toy) kept(rec backend.Record) backend.Record {
	switch s.flaw {
	case "keeps Shorten":
		rec.Confirm = false
		return rec
	case "keeps Confirm":
		rec.Shorten = false
		return rec
	case "keeps seconds":
		rec.Expires = rec.Expires.Truncate(time.Second)
	case "trims users":
		rec.User = strings.TrimRight(rec.User, " ")
	case "ends users at NUL":
		rec.User, _, _ = strings.Cut(rec.User, "\x00")
	case "cuts long users":
		rec.User = rec.User[:min(len(rec.User), backend.MaxUser)]
	case "cuts large data":
		rec.Data = rec.Data[:min(len(rec.Data), 64<<10-1)]
	case "wants UTF-8":
		rec.Data = bytes.ToValidUTF8(rec.Data, []byte("?"))
	}
	rec.Shorten, rec.Confirm = false, false
	return rec
}

func (s *toy) Load(ctx context.Context, id uuid.UUID) (backend.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return backend.Record{}, err
	}
	rec, ok := s.live(id)
	if s.flaw == "leaves expiry to the sweep" {
		rec, ok = s.recs[id]
	}
	if !ok {
		return backend.Record{}, backend.ErrNotFound
	}
	return rec, nil
}

func (s *toy) Create(ctx context.Context, rec backend.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return err
	}
	if _, taken := s.live(rec.ID); taken && s.flaw != "create overwrites" {
		return backend.ErrExists
	}
	if s.flaw == "create in two steps" {
		s.window(moment)
	}
	if s.flaw != "create keeps the version" {
		rec.Version = 1
	}
	s.recs[s.key(rec.ID)] = s.kept(rec)
	s.first[rec.ID] = rec.Expires
	return nil
}

func (s *toy) Update(ctx context.Context, rec backend.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return err
	}
	old, ok := s.live(rec.ID)
	switch {
	case s.flaw == "update revives" && !ok && old.Version > 0, s.flaw == "update creates" && !ok:
	case !ok:
		return backend.ErrNotFound
	case old.Version != rec.Version && s.flaw != "update ignores the version":
		return backend.ErrConflict
	}
	if s.flaw == "update in two steps" {
		s.window(moment)
	}
	later := old.Expires.After(rec.Expires)
	if later && !rec.Shorten && s.flaw != "update shortens" || later && s.flaw == "update never shortens" {
		rec.Expires = old.Expires
	}
	rec.Version++
	if s.flaw == "update does not count" {
		rec.Version--
	}
	if s.flaw == "update reuses the buffer" {
		rec.Data = append(old.Data[:0], rec.Data...)
	}
	if s.flaw == "index does not follow" {
		rec.User = old.User
	}
	s.recs[s.key(rec.ID)] = s.kept(rec)
	return nil
}

func (s *toy) Touch(ctx context.Context, id uuid.UUID, expires time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return err
	}
	rec, ok := s.live(id)
	switch {
	case s.flaw == "touch revives" && !ok && rec.Version > 0:
	case !ok:
		return backend.ErrNotFound
	case !expires.After(rec.Expires) && s.flaw == "an idle touch is not found":
		return backend.ErrNotFound
	case !expires.After(rec.Expires) && s.flaw != "touch moves back":
		return nil
	}
	if s.flaw == "touch in two steps" {
		s.window(moment)
	}
	rec.Expires = expires
	if s.flaw == "touch counts" {
		rec.Version++
	}
	s.recs[s.key(id)] = s.kept(rec)
	return nil
}

func (s *toy) Delete(ctx context.Context, id uuid.UUID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return err
	}
	if _, ok := s.recs[s.key(id)]; !ok && s.flaw == "delete of nothing fails" {
		return backend.ErrNotFound
	}
	if s.flaw != "delete does nothing" {
		delete(s.recs, s.key(id))
	}
	return nil
}

func (s *toy) DeleteVersion(ctx context.Context, id uuid.UUID, version uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return err
	}
	rec, ok := s.live(id)
	switch {
	case !ok && s.flaw == "delete version takes expired ones" && rec.Version > 0:
	case !ok:
		return backend.ErrNotFound
	case rec.Version != version && s.flaw != "delete version ignores it":
		return backend.ErrConflict
	}
	if s.flaw == "delete version in two steps" {
		s.window(moment)
	}
	delete(s.recs, s.key(id))
	return nil
}

func (s *toy) Sweep(ctx context.Context, limit int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return 0, err
	}
	var gone []uuid.UUID
	for id, rec := range s.recs {
		expires := rec.Expires
		if s.flaw == "sweep goes by the first expiry" {
			expires = s.first[id]
		}
		if s.flaw == "sweep is early and in two steps" {
			expires = expires.Add(-early)
		}
		if !time.Now().Before(expires) && (len(gone) < limit || s.flaw == "sweep ignores the limit") {
			gone = append(gone, id)
		}
	}
	switch {
	case s.flaw == "sweep is early and in two steps":
		s.window(early)
	case strings.HasSuffix(s.flaw, "in two steps"):
		s.window(moment)
	}
	for _, id := range gone {
		delete(s.recs, id)
	}
	if s.flaw == "sweep does not count" {
		return 0, nil
	}
	return len(gone), nil
}

func (s *toy) ByUser(ctx context.Context, user string) ([]backend.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	var recs []backend.Record
	for id, rec := range s.recs {
		_, live := s.live(id)
		if !live && s.flaw != "index keeps expired ones" {
			continue
		}
		if rec.User == user || s.flaw == "index folds case" && strings.EqualFold(rec.User, user) {
			if s.flaw == "index cuts too early" {
				rec.Data = rec.Data[:min(len(rec.Data), backend.HeadSize-1)]
			}
			recs = append(recs, rec)
		}
		if s.flaw == "index ends at 100" && len(recs) == 100 {
			break
		}
	}
	return recs, nil
}

func (s *toy) List(ctx context.Context, prefix string, limit int) ([]backend.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	var recs []backend.Record
	for id, rec := range s.recs {
		if _, live := s.live(id); !live && s.flaw != "list keeps expired ones" {
			continue
		}
		if strings.HasPrefix(rec.User, prefix) || s.flaw == "list folds case" && strings.HasPrefix(strings.ToLower(rec.User), prefix) {
			recs = append(recs, rec)
		}
	}
	if s.flaw == "list lacks anonymous ones" {
		recs = slices.DeleteFunc(recs, func(rec backend.Record) bool { return rec.User == "" })
	}
	slices.SortFunc(recs, func(a, b backend.Record) int {
		if s.flaw == "list begins with the oldest" {
			a, b = b, a
		}
		return bytes.Compare(b.ID[:], a.ID[:])
	})
	if s.flaw == "list ignores the limit" {
		return recs, nil
	}
	return recs[:min(limit, len(recs))], nil
}

func (s *toy) Count(ctx context.Context) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return 0, err
	}
	if s.flaw == "counts what was" {
		return len(s.first), nil
	}
	return len(s.recs), nil
}

func (s *toy) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

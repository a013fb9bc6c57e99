package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/internal/adoption"
	"github.com/chisession/session/internal/record"
	"github.com/chisession/session/internal/stored"
)

// Info is what a list of devices shows of a session: never a value or a token.
type Info struct {
	ID        string    `json:"id"`         // public: what Revoke takes
	User      string    `json:"user"`       // from Session.SetUser
	Label     string    `json:"label"`      // from Session.SetLabel
	CreatedAt time.Time `json:"created_at"` // to the millisecond

	// LastSeen is the last activity noted, at most TouchEvery before the
	// true one; near the end of a session's absolute timeout it lags more,
	// because the expiry that it is worked out from moves no further.
	LastSeen  time.Time `json:"last_seen"`
	ExpiresAt time.Time `json:"expires_at"` // if nothing more happens

	login   int64 // when the user logged in, Unix µs
	id      uuid.UUID
	version uint64
}

// Sessions returns the live sessions of user, the latest login first. The
// store must be a backend.UserIndex, as those of this repository are. It is an
// error if user is empty, as in an anonymous session.
func (m *Manager) Sessions(ctx context.Context, user string) ([]Info, error) {
	if m.store.Can.UserIndex == nil {
		return nil, m.lacks("Sessions", "backend.UserIndex")
	}
	if user == "" {
		return nil, fmt.Errorf("session: Sessions: the user's name is empty; anonymous sessions are not listed")
	}
	records, err := m.store.Can.UserIndex.ByUser(ctx, user)
	if err != nil {
		return nil, m.failed("list a user's sessions", err)
	}
	// Pointers are sorted, by code that every program has already: for Info
	// itself the compiler would make another 25 KB of it.
	sorted := make([]*Info, 0, len(records))
	for _, rec := range records {
		info := m.info(rec)
		if info.ExpiresAt.Before(rec.Expires) && !info.ExpiresAt.After(time.Now()) {
			continue // its head says that it is over
		}
		sorted = append(sorted, &info)
	}
	slices.SortFunc(sorted, func(a, b *Info) int {
		if a.login != b.login {
			return int(max(-1, min(1, b.login-a.login)))
		}
		return strings.Compare(b.ID, a.ID)
	})
	infos := make([]Info, len(sorted))
	for i, info := range sorted {
		infos[i] = *info
	}
	return infos, nil
}

func (m *Manager) info(rec backend.Record) Info {
	created := record.CreatedAt(rec.ID)
	info := Info{ID: rec.ID.String(), User: rec.User, CreatedAt: created, ExpiresAt: rec.Expires,
		login: created.UnixMicro(), id: rec.ID, version: rec.Version}
	h, err := record.ParseHead(rec.Data)
	if err != nil {
		return info // listed all the same, so that it can be revoked
	}
	idle, _ := m.store.Timeouts(h.Idle, h.Absolute)
	info.Label = string(h.Label)
	if h.Ends != 0 {
		info.ExpiresAt = time.UnixMilli(min(h.Ends, rec.Expires.UnixMilli()))
	}
	info.LastSeen = info.ExpiresAt.Add(-idle)
	if info.LastSeen.Before(created) {
		info.LastSeen = created
	}
	info.login = max(info.login, h.Renewed)
	return info
}

// Revoke ends the session with this public ID, wherever its browser is and
// whosever it is: where users choose the ID, end only what is in their [Manager.Sessions].
// Requests under way cannot bring it back. That there is none is no error.
func (m *Manager) Revoke(ctx context.Context, id string) error {
	parsed, err := parseID(id)
	if err != nil {
		return err
	}
	if m.cfg.Disabled {
		return ErrDisabled
	}
	if err := m.store.Backend.Delete(ctx, parsed); err != nil {
		return m.failed("revoke", err)
	}
	m.ended(ctx, Event{ID: id, Reason: ReasonRevoked})
	return nil
}

// ended counts and tells that a session was ended from outside.
func (m *Manager) ended(ctx context.Context, e Event) {
	m.stats.add(statDeletes, nil)
	e.Kind = EventEnded
	m.tell(context.WithoutCancel(ctx), e)
}

// RevokeUser ends all sessions of user but those with the IDs in except, and
// returns how many. One that logs in while it runs may stay. If the error is
// backend.ErrNotReplicated, the session that it names may have ended, and not for
// good: it need not be listed any more, so Revoke it by its ID.
func (m *Manager) RevokeUser(ctx context.Context, user string, except ...string) (int, error) {
	for _, id := range except {
		if _, err := parseID(id); err != nil {
			return 0, fmt.Errorf("%w (in except)", err)
		}
	}
	infos, err := m.Sessions(ctx, user)
	if err != nil {
		return 0, err
	}
	revoked := 0
	for _, info := range infos {
		if slices.Contains(except, info.ID) {
			continue
		}
		switch done, err := m.revokeOf(ctx, user, info); {
		case err != nil:
			return revoked, m.failed("revoke session "+info.ID, err)
		case done:
			m.ended(ctx, Event{ID: info.ID, User: user, Reason: ReasonRevoked})
			revoked++
		}
	}
	return revoked, nil
}

// revokeOf ends a listed session if it is still user's: it may have been
// logged in as somebody else since.
func (m *Manager) revokeOf(ctx context.Context, user string, info Info) (done bool, err error) {
	for again := false; ; {
		err := m.store.DeleteVersion(ctx, info.id, info.version)
		switch {
		case errors.Is(err, backend.ErrNotFound):
			err = m.store.ConfirmGone(ctx, info.id)
			return again && err == nil, err
		case errors.Is(err, backend.ErrNotReplicated) && !again:
			again = true
			continue
		case !errors.Is(err, backend.ErrConflict):
			return err == nil, err
		}
		rec, err := m.store.Backend.Load(ctx, info.id)
		if errors.Is(err, backend.ErrNotFound) || err == nil && rec.User != user {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		info.version = rec.Version
	}
}

// trim follows a write that may be a login: it ends the oldest logins of the user
// above MaxPerUser. Every login does it, so however many there are at once, the
// newest remain.
func (s *Session) trim(ctx context.Context, out *stored.Outcome, t *try) error {
	if !out.Created && t.changed&changedUser == 0 {
		return nil
	}
	if s.m.refuses() {
		return s.confirmPlace(ctx, out.Copy.User, out.Created)
	}
	return s.trimUser(ctx, out.Copy.User)
}

// admit comes before a write that is a login: where MaxPerUser refuses, the login
// needs a free place. If it reports true, another goroutine of this request has
// destroyed the session meanwhile, and there is nothing to store in its place.
func (s *Session) admit(ctx context.Context) (again bool, err error) {
	if !s.m.refuses() || s.want.changed&changedUser == 0 || s.want.to.user == "" || s.start.candidate {
		return false, nil
	}
	user := s.want.to.user
	epoch := s.work.epoch
	others, err := s.others(ctx, user)
	switch {
	case s.work.epoch != epoch:
		return true, nil
	case err != nil:
		return false, err
	case others < s.m.cfg.MaxPerUser:
		return false, nil
	}
	return false, s.refuseLogin(user)
}

// refuses reports whether logins can be refused.
func (m *Manager) refuses() bool {
	return m.cfg.MaxPerUser > 0 && m.cfg.OnMaxPerUser == MaxPerUserRefuse
}

// others returns how many other sessions user has.
func (s *Session) others(ctx context.Context, user string) (n int, err error) {
	var infos []Info
	own := s.rec.Cred.ID()
	s.outside(func() { infos, err = s.m.Sessions(ctx, user) })
	for i := range infos {
		if infos[i].id != own {
			n++
		}
	}
	return n, err
}

// refuseLogin drops the login, and what came with it. The session is what is
// stored.
func (s *Session) refuseLogin(user string) error {
	s.want.forget()
	s.ensureID()
	s.tell(&s.rec.Cred, Event{Kind: EventRefused, User: user, Reason: ReasonMaxPerUser})
	if !s.rec.Exists {
		s.vals.Reset(record.Body{}, s.m.cfg.MaxBytes)
		return ErrTooManySessions
	}
	if err := s.reload(); err != nil { // SetUser may have dropped a former user's values
		return err
	}
	return ErrTooManySessions
}

// confirmPlace comes after a login that had a free place: another may have taken
// it at the same time. Whoever looks last sees all the others, so if every login
// that sees too many is undone, none is left above the limit.
func (s *Session) confirmPlace(ctx context.Context, user string, created bool) error {
	if user == "" || s.start.candidate {
		return nil
	}
	epoch := s.work.epoch
	others, err := s.others(ctx, user)
	if err != nil || others < s.m.cfg.MaxPerUser || s.work.epoch != epoch {
		return err
	}
	id, version, cred := s.rec.Cred.ID(), s.rec.Version, s.rec.Cred
	s.outside(func() { err = s.m.store.DeleteVersion(ctx, id, version) })
	if err != nil && !errors.Is(err, backend.ErrNotFound) {
		return s.m.failed("undo a login", err)
	}
	s.m.stats.add(statDeletes, &cred)
	s.tell(&cred, Event{Kind: EventEnded, User: user, Reason: ReasonMaxPerUser})
	if s.work.epoch == epoch {
		s.work.epoch++
		s.startOver()
		s.reply.cookie = cookieAlone // which may be that of a login beside this one: a double click
		if !created {
			s.reply.cookie = s.removalCookie()
		}
	}
	return ErrTooManySessions
}

func (s *Session) trimUser(ctx context.Context, user string) (err error) {
	if s.m.cfg.MaxPerUser == 0 || user == "" || s.start.candidate || s.m.cfg.OnMaxPerUser != MaxPerUserEndOldest {
		return nil
	}
	var ended []string
	s.outside(func() { ended, err = s.m.trim(ctx, user) })
	for _, id := range ended {
		s.later(func() { s.m.ended(ctx, Event{ID: id, User: user, Reason: ReasonMaxPerUser}) })
	}
	return err
}

func (m *Manager) trim(ctx context.Context, user string) (ended []string, err error) {
	for deadline := time.Now().Add(m.cfg.StoreTimeout); ; {
		infos, err := m.Sessions(ctx, user)
		if err != nil {
			return ended, err
		}
		again := false
		for _, info := range infos[min(m.cfg.MaxPerUser, len(infos)):] {
			err := m.store.DeleteVersion(ctx, info.id, info.version)
			switch {
			case err == nil:
				ended = append(ended, info.ID)
			case errors.Is(err, backend.ErrConflict):
				again = true // it has just been written: perhaps it is now the latest login
			case !errors.Is(err, backend.ErrNotFound):
				return ended, m.failed("trim", err)
			}
		}
		if !again || time.Now().After(deadline) {
			return ended, nil
		}
	}
}

// lend hands package migrate what it needs for an adoption.
func (m *Manager) lend(a *adoption.Adoption) {
	a.Store, a.Cookie = m.store.Backend, m.cookie.Options()
	a.Trim = func(ctx context.Context, user string) error {
		s := &Session{m: m} // to tell of it when it is unlocked
		s.mu.Lock()
		defer s.unlock()
		return s.trimUser(ctx, user)
	}
}

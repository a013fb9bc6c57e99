package session

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// Info is what a list of devices shows of a session: never a value or a token.
type Info struct {
	ID        string    `json:"id"`
	User      string    `json:"user"`
	Label     string    `json:"label"` // from Session.SetLabel
	CreatedAt time.Time `json:"created_at"`

	// LastSeen is the last activity noted, at most TouchEvery before the
	// true one; near the end of a session's absolute timeout it lags more,
	// because the expiry that it is worked out from moves no further.
	LastSeen  time.Time `json:"last_seen"`
	ExpiresAt time.Time `json:"expires_at"` // if nothing more happens

	login int64 // when the user logged in, Unix ms
}

// Sessions returns the live sessions of user, the latest login first. The
// store must be a backend.UserIndex, as the four of this module are.
func (m *Manager) Sessions(ctx context.Context, user string) ([]Info, error) {
	index, ok := m.store.(backend.UserIndex)
	if !ok {
		return nil, m.lacks("Sessions", "backend.UserIndex")
	}
	if user == "" {
		return nil, fmt.Errorf("session: Sessions: the user's name is empty; anonymous sessions are not listed")
	}
	records, err := index.ByUser(ctx, user)
	if err != nil {
		return nil, m.failed("list a user's sessions", err)
	}
	infos := make([]Info, 0, len(records))
	for _, rec := range records {
		infos = append(infos, m.info(rec))
	}
	slices.SortFunc(infos, func(a, b Info) int {
		if a.login != b.login {
			return int(max(-1, min(1, b.login-a.login)))
		}
		return strings.Compare(b.ID, a.ID)
	})
	return infos, nil
}

func (m *Manager) info(rec backend.Record) Info {
	created := createdAt(rec.ID)
	info := Info{ID: rec.ID.String(), User: rec.User, CreatedAt: created, ExpiresAt: rec.Expires, login: created.UnixMilli()}
	h, err := parseHead(rec.Data)
	if err != nil {
		return info // listed all the same, so that it can be revoked
	}
	idle, _ := m.timeouts(h.idle, h.absolute)
	info.Label = string(h.label)
	info.LastSeen = rec.Expires.Add(-idle)
	if info.LastSeen.Before(created) {
		info.LastSeen = created
	}
	info.login = max(info.login, h.renewed)
	return info
}

// Revoke ends the session with this public ID, wherever its browser is.
// Requests under way cannot bring it back. That there is none is no error.
func (m *Manager) Revoke(ctx context.Context, id string) error {
	parsed, err := parseID(id)
	if err != nil {
		return err
	}
	if m.cfg.Disabled {
		return ErrDisabled
	}
	return m.revoke(ctx, parsed, ReasonRevoked)
}

func (m *Manager) revoke(ctx context.Context, id uuid.UUID, reason Reason) error {
	if err := m.store.Delete(ctx, id); err != nil {
		return m.failed("revoke", err)
	}
	m.stats.add(statDeletes, nil)
	if f := m.cfg.Hooks.Destroyed; f != nil {
		f(id.String(), reason)
	}
	return nil
}

// RevokeUser ends all sessions of user but those with the IDs in except, and
// returns how many. One that logs in while it runs may stay.
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
		if err := m.revoke(ctx, uuid.MustParse(info.ID), ReasonRevoked); err != nil {
			return revoked, err
		}
		revoked++
	}
	return revoked, nil
}

// trim ends the oldest logins of user above MaxPerUser. It comes after the
// write, and every login does it, so however many there are at once, the
// newest remain.
func (s *Session) trim(ctx context.Context, user string) error {
	m := s.m
	if m.cfg.MaxPerUser == 0 || user == "" {
		return nil
	}
	infos, err := m.Sessions(ctx, user)
	if err != nil {
		return err
	}
	for _, info := range infos[min(m.cfg.MaxPerUser, len(infos)):] {
		if err := m.store.Delete(ctx, uuid.MustParse(info.ID)); err != nil {
			return m.failed("trim", err)
		}
		m.stats.add(statDeletes, nil)
		if f := m.cfg.Hooks.Destroyed; f != nil {
			id := info.ID
			s.later(func() { f(id, ReasonMaxPerUser) })
		}
	}
	return nil
}

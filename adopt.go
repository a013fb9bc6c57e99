package session

import (
	"context"

	"github.com/chisession/session/internal/adoption"
)

// lend hands package migrate what it needs for an adoption.
func (m *Manager) lend(a *adoption.Adoption) {
	a.Store, a.Cookie = m.store, m.cookie.Options()
	a.Trim = func(ctx context.Context, user string) error {
		s := &Session{m: m} // to call the hooks when it is unlocked
		s.mu.Lock()
		defer s.unlock()
		return s.trim(ctx, user)
	}
}

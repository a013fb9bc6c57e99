package session

import (
	"cmp"
	"fmt"
	"log/slog"
	"time"

	"github.com/chisession/session/internal/record"
)

// ID returns the session's public ID: fit for logs and lists, it opens
// nothing. It stays the same across Renew.
func (s *Session) ID() string {
	s.mu.Lock()
	defer s.unlock()
	s.used = true
	if s.reason != nil || s.loading {
		return ""
	}
	if !s.released {
		s.ensureID()
	}
	if !s.known {
		return ""
	}
	return s.cred.ID().String()
}

func (s *Session) ensureID() {
	if !s.known {
		s.cred, s.known = record.NewCredentials(time.Now()), true
	}
}

// Token returns the secret that the browser holds, empty if the session is
// not stored. After Renew and SetUser it is still the old one until the session
// is stored: call Save first. It is for transports of your own; whoever has it
// has the session, so never log it.
func (s *Session) Token() string {
	if !s.begin("Token") {
		return ""
	}
	defer s.unlock()
	if !s.exists {
		return ""
	}
	return s.cred.Token()
}

// IsNew reports whether the session has not been stored yet.
func (s *Session) IsNew() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = true
	return !s.exists
}

// CreatedAt returns when the session was created, to the millisecond; the
// zero time if it is not stored yet.
func (s *Session) CreatedAt() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = true
	if !s.exists {
		return time.Time{}
	}
	return record.CreatedAt(s.cred.ID())
}

// ExpiresAt returns when the session ends if nothing more happens, as stored;
// the zero time if it is not stored yet.
func (s *Session) ExpiresAt() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = true
	if !s.exists {
		return time.Time{}
	}
	return time.UnixMilli(s.expires)
}

// Unavailable reports whether the session could not be loaded and
// Config.OnOutage is OutageAnonymous.
func (s *Session) Unavailable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = true
	return s.outage
}

// Err returns the first change of this request that cannot be stored, or nil.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.gone(); err != nil {
		return err
	}
	return cmp.Or(s.err, s.refused, s.over, s.lost)
}

// Format prints the session's public ID and nothing else, whatever the verb.
func (s *Session) Format(f fmt.State, _ rune) {
	if s == nil || s.reason != nil {
		fmt.Fprint(f, "session(none)")
		return
	}
	fmt.Fprintf(f, "session(%s)", s.ID())
}

// LogValue is what a log shows of s: its public ID.
func (s *Session) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(s)) }

// MarshalJSON encodes the session's public ID.
func (s *Session) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, "%q", fmt.Sprint(s)), nil }

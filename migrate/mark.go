package migrate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"

	"github.com/chisession/session"
)

// marker begins the user name of the sessions that mark adoptions.
const marker = "migrate/adopted/"

// mark stores, before the old record id is removed, that it is being adopted.
// For as long as grace, another process that finds no record can tell from it
// that the browser is about to have a new cookie. The mark is a session of
// which nobody has the token, found by its user: a hash of the ID, which opens
// nothing.
func (a *adopter) mark(r *http.Request, current *session.Session, id string) (*session.Session, error) {
	s, err := a.m.Start(answer{http.Header{}}, bare(r, current))
	if err != nil {
		return nil, err
	}
	s.SetUser(markOf(id))
	s.SetIdleTimeout(grace)
	s.SetAbsoluteTimeout(grace)
	if err := s.Save(); err != nil {
		a.finish(r, s, false)
		return nil, fmt.Errorf("mark the old session as adopted: %w", err)
	}
	return s, nil
}

// marked returns ErrChanged if the old session id was adopted a moment ago. A
// store without an index by user cannot tell.
func (a *adopter) marked(ctx context.Context, id string) error {
	marks, err := a.m.Sessions(ctx, markOf(id))
	switch {
	case len(marks) > 0:
		return ErrChanged
	case errors.As(err, new(*session.StoreError)):
		return fmt.Errorf("look up who adopted the old session: %w", err)
	}
	return nil
}

func markOf(id string) string {
	sum := sha256.Sum256([]byte(id))
	return marker + hex.EncodeToString(sum[:])
}

package main

import (
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"

	"github.com/google/uuid"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
)

var errMissing = errors.New("the value is not there")

// ours is this library.
type ours struct {
	m     *session.Manager
	store backend.Store
}

func newOurs(store backend.Store) (*ours, error) {
	m, err := session.New(session.Config{
		Store:      store,
		SweepEvery: -1, // measured by itself
		MaxBytes:   8 << 20,
		Logger:     slog.New(slog.DiscardHandler),
	})
	return &ours{m, store}, err
}

func (o *ours) middleware(next http.Handler) http.Handler { return o.m.Middleware(next) }

func (o *ours) number(r *http.Request) (int, error) {
	n, ok := session.Get[int](session.FromContext(r), "count")
	if !ok {
		return 0, errMissing
	}
	return n, nil
}

func (o *ours) add(_ http.ResponseWriter, r *http.Request) (int, error) {
	s := session.FromContext(r)
	n, ok := session.Get[int](s, "count")
	if !ok {
		return 0, errMissing
	}
	s.Set("count", n+1)
	return n + 1, nil
}

func (o *ours) text(r *http.Request, key string) (string, error) {
	text, ok := session.Get[string](session.FromContext(r), key)
	if !ok {
		return "", errMissing
	}
	return text, nil
}

func (o *ours) setText(_ http.ResponseWriter, r *http.Request, key, value string) error {
	session.FromContext(r).Set(key, value)
	return nil
}

func (o *ours) login(_ http.ResponseWriter, r *http.Request) error {
	s := session.FromContext(r)
	s.Set("user", "mary@example.com")
	s.Set("role", "editor")
	s.Set("count", 1)
	return nil
}

func (o *ours) fill(_ http.ResponseWriter, r *http.Request, n int, text string) error {
	s := session.FromContext(r)
	for i := range n {
		s.Set(keyOf(i), text)
	}
	return nil
}

func (o *ours) renew(_ http.ResponseWriter, r *http.Request) error {
	session.FromContext(r).Renew()
	return nil
}

func (o *ours) destroy(_ http.ResponseWriter, r *http.Request) error {
	session.FromContext(r).Destroy()
	return nil
}

// idOf returns the public half of a token.
func idOf(token string) (id uuid.UUID, err error) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return id, err
	}
	copy(id[:], b)
	return id, nil
}

package main

import (
	"errors"
	"net/http"

	"github.com/boj/redistore"
	"github.com/gorilla/sessions"
)

// gorilla is github.com/gorilla/sessions with a store of its kind. It signs,
// and does not encrypt: that is its fast way.
type gorilla struct{ store sessions.Store }

var (
	gorillaKey = []byte("0123456789abcdef0123456789abcdef")

	errNoRenewal = errors.New("gorilla/sessions has no renewal")
)

const gorillaName = "session"

func gorillaFile(dir string) *gorilla {
	store := sessions.NewFilesystemStore(dir, gorillaKey)
	store.MaxLength(0)
	return &gorilla{store}
}

func gorillaRedis(addr string) (*gorilla, error) {
	store, err := redistore.NewRediStore(10, "tcp", addr, "", "", gorillaKey)
	if err != nil {
		return nil, err
	}
	store.SetMaxLength(0)
	return &gorilla{store}, nil
}

// openRedistore is gorillaRedis with a pool that keeps as many connections as
// those of the others, instead of closing all but ten of them after each burst.
func openRedistore(addr string) (*gorilla, error) {
	g, err := gorillaRedis(addr)
	if err != nil {
		return nil, err
	}
	pool := g.store.(*redistore.RediStore).Pool
	pool.MaxIdle, pool.MaxActive, pool.Wait = redisConns, redisConns, true
	return g, nil
}

func (g *gorilla) middleware(next http.Handler) http.Handler { return next }

func (g *gorilla) number(r *http.Request) (int, error) {
	s, err := g.store.Get(r, gorillaName)
	if err != nil {
		return 0, err
	}
	n, ok := s.Values["count"].(int)
	if !ok {
		return 0, errMissing
	}
	return n, nil
}

func (g *gorilla) add(w http.ResponseWriter, r *http.Request) (int, error) {
	s, err := g.store.Get(r, gorillaName)
	if err != nil {
		return 0, err
	}
	n, ok := s.Values["count"].(int)
	if !ok {
		return 0, errMissing
	}
	s.Values["count"] = n + 1
	return n + 1, s.Save(r, w)
}

func (g *gorilla) text(r *http.Request, key string) (string, error) {
	s, err := g.store.Get(r, gorillaName)
	if err != nil {
		return "", err
	}
	text, ok := s.Values[key].(string)
	if !ok {
		return "", errMissing
	}
	return text, nil
}

func (g *gorilla) setText(w http.ResponseWriter, r *http.Request, key, value string) error {
	s, err := g.store.Get(r, gorillaName)
	if err != nil {
		return err
	}
	s.Values[key] = value
	return s.Save(r, w)
}

func (g *gorilla) login(w http.ResponseWriter, r *http.Request) error {
	s, err := g.store.Get(r, gorillaName)
	if err != nil {
		return err
	}
	s.Values["user"] = "mary@example.com"
	s.Values["role"] = "editor"
	s.Values["count"] = 1
	return s.Save(r, w)
}

func (g *gorilla) fill(w http.ResponseWriter, r *http.Request, n int, text string) error {
	s, err := g.store.Get(r, gorillaName)
	if err != nil {
		return err
	}
	for i := range n {
		s.Values[keyOf(i)] = text
	}
	return s.Save(r, w)
}

func (g *gorilla) renew(http.ResponseWriter, *http.Request) error { return errNoRenewal }

func (g *gorilla) destroy(w http.ResponseWriter, r *http.Request) error {
	s, err := g.store.Get(r, gorillaName)
	if err != nil {
		return err
	}
	s.Options.MaxAge = -1
	return s.Save(r, w)
}

package scs_test

import (
	"bytes"
	"context"
	"encoding/gob"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/migrate"
	"github.com/chisession/session/migrate/scs"
)

// old is a store of scs with one session. Yours is scs.Redis, scs.MySQL,
// scs.Postgres or scs.SQLite.
type old map[string][]byte

func (o old) Load(_ context.Context, id string, _ int) ([]byte, error) {
	if data, ok := o[id]; ok {
		return data, nil
	}
	return nil, migrate.ErrNotFound
}

func (o old) Remove(_ context.Context, id string, data []byte) error {
	if !bytes.Equal(o[id], data) {
		return migrate.ErrChanged
	}
	delete(o, id)
	return nil
}

// A user who logged in under scs stays logged in.
func ExampleAdopt() {
	const token = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ"
	var record bytes.Buffer
	if err := gob.NewEncoder(&record).Encode(struct {
		Deadline time.Time
		Values   map[string]any
	}{time.Now().Add(time.Hour), map[string]any{"user": "ada", "items": 3}}); err != nil {
		fmt.Println(err)
		return
	}

	m, err := session.New(session.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r)
		fmt.Fprintf(w, "hello %s, %v things in your cart", s.User(), s.Get("items"))
	})
	adopt := scs.Adopt(m, old{token: record.Bytes()}, migrate.Options{
		Adopted: func(_ *http.Request, s *session.Session, old map[string]any) error {
			name, _ := old["user"].(string)
			s.SetUser(name)
			return nil
		},
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})

	r := httptest.NewRequest("GET", "https://shop.example/", nil)
	r.AddCookie(&http.Cookie{Name: scs.DefaultCookieName, Value: token})
	w := httptest.NewRecorder()
	m.Middleware(adopt(page)).ServeHTTP(w, r) // with chi: r.Use(m.Middleware, adopt)
	fmt.Println(w.Body)
	// Output: hello ada, 3 things in your cart
}

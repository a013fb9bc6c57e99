package beego_test

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/go-chi/chi/v5"

	"github.com/chisession/session"
	"github.com/chisession/session/migrate"
	"github.com/chisession/session/migrate/beego"
)

// A user who logged in under Beego stays logged in: the first request with the
// old cookie gets a new session, and the new cookie.
func ExampleAdopt() {
	dir := beegoSessions() // sessionproviderconfig of the old application
	defer os.RemoveAll(dir)

	m, err := session.New(session.Config{})
	if err != nil {
		panic(err)
	}
	defer m.Close()
	old, err := beego.Files(dir, beego.DefaultLifetime)
	if err != nil {
		panic(err)
	}
	defer old.Close()

	r := chi.NewRouter()
	r.Use(m.Middleware, beego.Adopt(m, old, migrate.Options{
		Adopted: func(r *http.Request, s *session.Session, old map[string]any) error {
			if name, ok := old["uid"].(string); ok {
				s.SetUser(name)
				s.SetLabel(r.UserAgent())
			}
			return nil
		},
	}))
	r.Get("/", func(w http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r)
		fmt.Fprintf(w, "hello %s, %v things in your cart", s.User(), s.Get("items"))
	})

	request := httptest.NewRequest("GET", "http://localhost/", nil)
	request.AddCookie(&http.Cookie{Name: "beegosessionID", Value: "0123456789abcdef0123456789abcdef"})
	answer := httptest.NewRecorder()
	r.ServeHTTP(answer, request)

	fmt.Println(answer.Body)
	fmt.Println("the new token has", len(answer.Result().Cookies()[0].Value), "characters")
	// Output:
	// hello ann, 3 things in your cart
	// the new token has 64 characters
}

// beegoSessions makes a directory as Beego's file provider leaves it.
func beegoSessions() string {
	dir, err := os.MkdirTemp("", "beego")
	if err != nil {
		panic(err)
	}
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(map[any]any{"uid": "ann", "items": 3}); err != nil {
		panic(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "0", "1"), 0o755); err != nil {
		panic(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "0", "1", "0123456789abcdef0123456789abcdef"), b.Bytes(), 0o644); err != nil {
		panic(err)
	}
	return dir
}

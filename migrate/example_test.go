package migrate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/chisession/session"
	"github.com/chisession/session/migrate"
)

// files stands for the old library's store.
type files map[string][]byte

func (f files) Load(_ context.Context, id string, _ int) ([]byte, error) {
	if data, ok := f[id]; ok {
		return data, nil
	}
	return nil, migrate.ErrNotFound
}

func (f files) Remove(_ context.Context, id string, data []byte) error {
	if !bytes.Equal(f[id], data) {
		return migrate.ErrChanged
	}
	delete(f, id)
	return nil
}

// Sessions of a library of your own, which kept them as JSON under eight letters.
func ExampleAdopt() {
	format := migrate.Format{
		Name: "ours", CookieName: "sid", Form: "eight letters",
		Valid: func(id string) bool { return len(id) == 8 },
		Decode: func(data []byte, _ int) (migrate.Record, error) {
			var rec migrate.Record
			err := json.Unmarshal(data, &rec.Values)
			return rec, err
		},
	}
	m, err := session.New(session.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	adopt := migrate.Adopt(m, format, files{"abcdefgh": []byte(`{"user": "ada"}`)}, migrate.Options{
		Adopted: func(_ *http.Request, s *session.Session, old map[string]any) error {
			name, _ := old["user"].(string)
			s.SetUser(name)
			return nil
		},
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "hello ", session.FromContext(r).User())
	})

	r := httptest.NewRequest("GET", "https://shop.example/", nil)
	r.AddCookie(&http.Cookie{Name: "sid", Value: "abcdefgh"})
	w := httptest.NewRecorder()
	m.Middleware(adopt(page)).ServeHTTP(w, r)
	fmt.Println(w.Body)
	// Output: hello ada
}

package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/chisession/session"
)

// TestCount counts, and with files goes on counting after a restart.
func TestCount(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		visit(t, session.Config{}, nil, 1, 2, 3)
	})
	t.Run("file", func(t *testing.T) {
		restart(t, session.Config{Provider: "file", SavePath: t.TempDir()})
	})
}

func restart(t *testing.T, cfg session.Config) {
	t.Helper()
	cookies := visit(t, cfg, nil, 1, 2, 3)
	visit(t, cfg, cookies, 4, 5)
}

// visit starts the program's handler, visits it once for each number that it
// shall show, and returns the browser's cookies.
func visit(t *testing.T, cfg session.Config, cookies []*http.Cookie, want ...int) []*http.Cookie {
	t.Helper()
	manager, err := session.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	handler := routes(manager.Middleware)
	for _, n := range want {
		r, w := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
		for _, c := range cookies {
			r.AddCookie(c)
		}
		handler.ServeHTTP(w, r)
		if got, want := w.Body.String(), fmt.Sprintf("visit number %d\n", n); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if set := w.Result().Cookies(); len(set) > 0 {
			cookies = set
		}
	}
	return cookies
}

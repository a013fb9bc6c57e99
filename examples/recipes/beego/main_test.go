package main

import (
	"bytes"
	"encoding/gob"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/conf"
	"github.com/chisession/session/examples/recipes/internal/browser"
	"github.com/chisession/session/migrate/beego"
)

const id = "0123456789abcdef0123456789abcdef" // as Beego makes them

// shop serves the port with the original's app.conf and what it left in its
// directory of sessions, and returns the manager and a browser.
func shop(t *testing.T, sessions map[string]map[any]any) (*session.Manager, *browser.Browser) {
	t.Helper()
	cfg, err := conf.Load("app.conf")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.SavePath != "./tmp" || cfg.Cookie.Name != "shopsession" || cfg.IdleTimeout != 24*time.Hour {
		t.Fatalf("app.conf is read as %v, at %q", cfg, cfg.SavePath)
	}
	dir := t.TempDir()
	for id, values := range sessions {
		write(t, filepath.Join(dir, id[:1], id[1:2], id), values)
	}
	old, err := beego.Files(dir, cfg.IdleTimeout)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { old.Close() })
	cfg.SavePath = filepath.Join(t.TempDir(), "sessions")
	m := browser.Manager(t, cfg)
	return m, browser.Open(t, routes(m, old))
}

// write stores a session as Beego's file provider does.
func write(t *testing.T, name string, values map[any]any) {
	t.Helper()
	gob.Register([]Item{})
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(values); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestShop(t *testing.T) {
	_, b := shop(t, nil)
	b.Want("a first visit", http.StatusOK, "<p>Hello</p>")(b.Get("/"))
	b.Want("tea", http.StatusOK, "<p>tea is in your cart.</p>")(b.Post("/buy", url.Values{"item": {"tea"}}))
	b.Want("a wrong password", http.StatusOK, "<p>Name or password is wrong.</p>")(b.Post("/login", url.Values{"name": {"ada"}}))
	b.Want("the right one", http.StatusOK, "<p>Hello, ada</p>\n<ul><li>1 tea</li></ul>")(
		b.Post("/login", url.Values{"name": {"ada"}, "password": {"lovelace"}}))
	b.Want("a logout", http.StatusOK, "<p>Hello</p>\n<ul></ul>")(b.Post("/logout", nil))
}

func TestUsersStayLoggedIn(t *testing.T) {
	m, b := shop(t, map[string]map[any]any{id: {"user": "ada", "cart": []Item{{"tea", 1}}}})
	at, err := url.Parse(b.URL)
	if err != nil {
		t.Fatal(err)
	}
	b.Client.Jar.SetCookies(at, []*http.Cookie{{Name: "shopsession", Value: id}})
	b.Want("with Beego's cookie", http.StatusOK, "<p>Hello, ada</p>\n<ul><li>1 tea</li></ul>")(b.Get("/"))
	b.Want("milk", http.StatusOK, "<ul><li>1 tea</li><li>1 milk</li></ul>")(b.Post("/buy", url.Values{"item": {"milk"}}))

	infos, err := m.Sessions(t.Context(), "ada")
	if err != nil || len(infos) != 1 {
		t.Errorf("ada's sessions: %v, %v, want one", infos, err)
	}
	b.Want("a logout", http.StatusOK, "<p>Hello</p>")(b.Post("/logout", nil))
	b.Client.Jar.SetCookies(at, []*http.Cookie{{Name: "shopsession", Value: id}})
	b.Want("Beego's cookie once more", http.StatusOK, "<p>Hello</p>")(b.Get("/"))
}

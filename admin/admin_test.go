package admin_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"

	"github.com/chisession/session"
	"github.com/chisession/session/admin"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/memory"
	"github.com/chisession/session/internal/leak"
	"github.com/chisession/session/sessiontest"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

const secretValue = "a value that nobody may see"

// onlyRoot lets the user root see the page.
func onlyRoot(r *http.Request) error {
	if session.FromContext(r).User() != "root" {
		return errors.New("not root")
	}
	return nil
}

// A shop is an application with the page mounted at /ops/sessions, in one of
// several ways.
type shop struct {
	url     string
	manager *session.Manager
}

var mounts = map[string]func(page http.Handler) http.Handler{
	"chi": func(page http.Handler) http.Handler {
		r := chi.NewRouter()
		r.Mount("/ops/sessions", page)
		return r
	},
	"StripPrefix": func(page http.Handler) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("/ops/sessions/", http.StripPrefix("/ops/sessions", page))
		mux.Handle("/ops/sessions", http.StripPrefix("/ops/sessions", page))
		return mux
	},
	"path": func(page http.Handler) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("/ops/sessions", page)
		mux.Handle("/ops/sessions/", page)
		return mux
	},
}

func open(t *testing.T, mount string) shop {
	t.Helper()
	inner, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	store, meter := admin.Measure(inner)
	m, err := session.New(session.Config{Store: store, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	page, err := admin.New(m, admin.Options{Authorize: onlyRoot, Meter: meter, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r)
		s.Set("secret", secretValue)
		s.SetLabel(r.FormValue("label"))
		s.SetUser(r.FormValue("user"))
	})
	mux.HandleFunc("/who", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, session.FromContext(r).User())
	})
	mux.Handle("/ops/", mounts[mount](page))
	server := httptest.NewServer(m.Middleware(mux))
	t.Cleanup(func() {
		server.Close()
		m.Close()
		backend.AbilitiesOf(store).Closer.Close()
	})
	return shop{server.URL, m}
}

// A browser has a cookie jar, and sends what browsers send.
type browser struct {
	t    *testing.T
	shop shop
	http *http.Client
}

func (s shop) browser(t *testing.T) *browser {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &browser{t, s, &http.Client{Jar: sessiontest.NewJar(), Transport: transport}}
}

// login returns a browser that has logged in.
func (s shop) login(t *testing.T, user, label string) *browser {
	t.Helper()
	b := s.browser(t)
	b.get("/login?" + url.Values{"user": {user}, "label": {label}}.Encode())
	return b
}

func (b *browser) do(req *http.Request) (int, string, *http.Response) {
	b.t.Helper()
	resp, err := b.http.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, string(body), resp
}

func (b *browser) get(path string) (int, string) {
	b.t.Helper()
	req, err := http.NewRequest("GET", b.shop.url+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	code, body, _ := b.do(req)
	return code, body
}

func (b *browser) post(path, site string, form url.Values) (int, string, *http.Response) {
	b.t.Helper()
	req, err := http.NewRequest("POST", b.shop.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", site)
	return b.do(req)
}

func TestNew(t *testing.T) {
	m, err := session.New(session.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	allow := func(*http.Request) error { return nil }
	if _, err := admin.New(m, admin.Options{}); err == nil || !strings.Contains(err.Error(), "Authorize") {
		t.Errorf("New without Authorize: %v, want an error that names it", err)
	}
	if _, err := admin.New(nil, admin.Options{Authorize: allow}); err == nil {
		t.Error("New(nil): no error")
	}
	if _, err := admin.New(m, admin.Options{Authorize: allow, TrustedOrigins: []string{"ops.example/x"}}); err == nil {
		t.Error("New with a bad origin: no error")
	}
}

// TestPage: who may see it sees the counts, finds a user's sessions and ends
// them, wherever it is mounted.
func TestPage(t *testing.T) {
	for mount := range mounts {
		for _, path := range []string{"/ops/sessions", "/ops/sessions/"} {
			t.Run(mount+path, func(t *testing.T) {
				s := open(t, mount)
				root := s.login(t, "root", "ops laptop")
				ada1, ada2, ada3 := s.login(t, "ada", "Firefox <b>"), s.login(t, "ada", "phone"), s.login(t, "ada", "tablet")
				code, body := root.get(path + "?user=ada")
				if code != 200 {
					t.Fatalf("GET: %d\n%s", code, body)
				}
				for _, want := range []string{"Firefox &lt;b&gt;", "phone", "tablet", "3 of ada", "<svg", "store calls in the last 15 minutes", "<dd>4</dd>"} {
					if !strings.Contains(body, want) {
						t.Errorf("the page lacks %q", want)
					}
				}
				if strings.Contains(body, secretValue) {
					t.Error("the page has a value in it")
				}
				infos, err := s.manager.Sessions(t.Context(), "ada")
				if err != nil || len(infos) != 3 {
					t.Fatalf("Sessions: %d, %v", len(infos), err)
				}
				code, body, resp := root.post(path, "same-origin", url.Values{"do": {"revoke"}, "user": {"ada"}, "id": {infos[0].ID}}) // tablet
				if got, want := resp.Request.URL.Path, path; got != want || code != 200 || !strings.Contains(body, "1 ended.") || strings.Contains(body, "tablet") {
					t.Errorf("revoke: %d at %s, want 200 at %s, and that one ended", code, got, want)
				}
				if _, who := ada3.get("/who"); who != "" {
					t.Errorf("the browser whose session was ended is %q", who)
				}
				if _, who := ada1.get("/who"); who != "ada" {
					t.Errorf("another of her browsers is %q, want ada", who)
				}
				if code, body, _ = root.post(path, "same-origin", url.Values{"do": {"revoke-user"}, "user": {"ada"}}); code != 200 ||
					!strings.Contains(body, "2 ended.") || !strings.Contains(body, "ada has no session") {
					t.Errorf("revoke-user: %d", code)
				}
				if _, who := ada2.get("/who"); who != "" {
					t.Errorf("after revoke-user a browser is %q", who)
				}
			})
		}
	}
}

// TestOwn: the viewer's own session is marked, and may be kept.
func TestOwn(t *testing.T) {
	s := open(t, "chi")
	root := s.login(t, "root", "laptop")
	other := s.login(t, "root", "phone")
	_, body := root.get("/ops/sessions?user=root")
	if strings.Count(body, `class="mine"`) != 1 || strings.Count(body, `name="except"`) != 1 {
		t.Error("the viewer's own session is not marked once")
	}
	infos, err := s.manager.Sessions(t.Context(), "root")
	if err != nil {
		t.Fatal(err)
	}
	own := infos[1].ID
	if code, _, _ := root.post("/ops/sessions", "same-origin", url.Values{"do": {"revoke-user"}, "user": {"root"}, "except": {own}}); code != 200 {
		t.Errorf("revoke-user: %d", code)
	}
	if _, who := other.get("/who"); who != "" {
		t.Errorf("the other browser is %q", who)
	}
	if _, who := root.get("/who"); who != "root" {
		t.Errorf("the viewer is %q, want root", who)
	}
}

func TestRefusals(t *testing.T) {
	s := open(t, "chi")
	root, ada, nobody := s.login(t, "root", ""), s.login(t, "ada", ""), s.browser(t)
	infos, err := s.manager.Sessions(t.Context(), "ada")
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{"do": {"revoke"}, "user": {"ada"}, "id": {infos[0].ID}}
	for _, c := range []struct {
		name string
		b    *browser
		site string
		form url.Values
		want int
	}{
		{"nobody", nobody, "same-origin", form, 403},
		{"a user", ada, "same-origin", form, 403},
		{"another site", root, "cross-site", form, 403},
		{"a sister site", root, "same-site", form, 403},
		{"no such act", root, "same-origin", url.Values{"do": {"drop"}}, 400},
		{"not her session", root, "same-origin", url.Values{"do": {"revoke"}, "user": {"root"}, "id": {infos[0].ID}}, 200},
		{"no user", root, "same-origin", url.Values{"do": {"revoke-user"}}, 400},
		{"too long", root, "same-origin", url.Values{"do": {"revoke"}, "user": {strings.Repeat("x", 1<<15)}}, 400},
	} {
		if code, _, _ := c.b.post("/ops/sessions", c.site, c.form); code != c.want {
			t.Errorf("POST, %s: %d, want %d", c.name, code, c.want)
		}
		if _, who := ada.get("/who"); who != "ada" {
			t.Fatalf("after a refused POST (%s) ada is %q", c.name, who)
		}
	}
	for name, b := range map[string]*browser{"nobody": nobody, "a user": ada} {
		if code, body := b.get("/ops/sessions?user=root"); code != 403 || strings.Contains(body, "root") {
			t.Errorf("GET, %s: %d, want 403", name, code)
		}
	}
	req, err := http.NewRequest("DELETE", s.url+"/ops/sessions", nil)
	if err != nil {
		t.Fatal(err)
	}
	if code, _, resp := root.do(req); code != 405 || resp.Header.Get("Allow") == "" {
		t.Errorf("DELETE: %d, want 405", code)
	}
}

func TestHeaders(t *testing.T) {
	s := open(t, "path")
	req, err := http.NewRequest("GET", s.url+"/ops/sessions", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, body, resp := s.login(t, "root", "").do(req)
	for name, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
		"Referrer-Policy": "same-origin", "X-Frame-Options": "DENY",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if csp := resp.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; style-src 'sha256-") {
		t.Errorf("Content-Security-Policy: %q", csp)
	}
	for _, inline := range []string{" style=", " onclick=", "javascript:", "http://", "https://"} {
		if strings.Contains(body, inline) {
			t.Errorf("the page has %q in it, which its policy forbids", inline)
		}
	}
}

// TestOutage: the page says what it cannot know.
func TestOutage(t *testing.T) {
	store, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := session.New(session.Config{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	page, err := admin.New(m, admin.Options{
		Authorize: func(*http.Request) error { return nil }, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	store.Close()
	rec := httptest.NewRecorder()
	page.ServeHTTP(rec, httptest.NewRequest("GET", "/?user=ada", nil))
	for _, want := range []string{"the store did not answer", "could not be listed", "Not measured"} {
		if !strings.Contains(rec.Body.String(), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	rec = httptest.NewRecorder()
	req := httptest.NewRequest("POST", "/", strings.NewReader("do=revoke-user&user=ada"))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	page.ServeHTTP(rec, req)
	if rec.Code != http.StatusServiceUnavailable {
		t.Errorf("revoke-user in an outage: %d, want 503", rec.Code)
	}
}

func ExampleNew() {
	inner, err := backend.Open("memory", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	store, meter := admin.Measure(inner)
	m, err := session.New(session.Config{Store: store})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer backend.AbilitiesOf(store).Closer.Close() // what is handed in stays its owner's
	defer m.Close()

	page, err := admin.New(m, admin.Options{
		Meter: meter,
		Authorize: func(r *http.Request) error {
			if session.FromContext(r).User() != "root" {
				return errors.New("not root")
			}
			return nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	r := chi.NewRouter()
	r.Use(m.Middleware)
	r.Mount("/admin/sessions", page)

	rec := httptest.NewRecorder()
	r.ServeHTTP(rec, httptest.NewRequestWithContext(context.Background(), "GET", "/admin/sessions", nil))
	fmt.Println(rec.Code)
	// Output: 403
}

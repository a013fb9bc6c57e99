// Package admin tests the operators' page on the SQL stores, which can count and
// list what they have, and on Redis, which can count; what the page is like is tested beside it, in memory.
package admin

import (
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/admin"
	"github.com/chisession/session/backend"
	_ "github.com/chisession/session/backend/mysql" // known by name from here on
	_ "github.com/chisession/session/backend/postgres"
	_ "github.com/chisession/session/backend/redis"
	_ "github.com/chisession/session/backend/sqlite"
	"github.com/chisession/session/internal/leak"
	"github.com/chisession/session/internal/testserver"
	"github.com/chisession/session/sessiontest"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

// places are where each store is opened: a save path of the test's own.
var places = map[string]func(t *testing.T) (savePath string){
	"sqlite": func(t *testing.T) string { return filepath.Join(t.TempDir(), "sessions.db") },
	"postgres": func(t *testing.T) string {
		server := started[*testserver.Postgres](t)(testserver.StartPostgres(testserver.PostgresOptions{}))
		return server.DSN(databaseOf(t, server))
	},
	"mysql": func(t *testing.T) string {
		server := started[*testserver.MariaDB](t)(testserver.StartMariaDB(testserver.MariaDBOptions{}))
		return server.DSN(databaseOf(t, server))
	},
}

// TestPage: what an operator does on the page, on each store.
func TestPage(t *testing.T) {
	for name, place := range places {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, name, place(t))
			t.Run("newest", s.testNewest)
			t.Run("prefix", s.testPrefix)
			t.Run("counts", s.testCounts)
			t.Run("end", s.testEnd)
			t.Run("any name", s.testAnyName)
		})
	}
}

// TestPageOnRedis: Redis has no list of the newest, and the page says so; it does
// count what lives, and ends it.
func TestPageOnRedis(t *testing.T) {
	t.Parallel()
	server := started[*testserver.Redis](t)(testserver.StartRedis(testserver.RedisOptions{}))
	s := open(t, "redis", server.Addr()+",10,"+server.Password())
	t.Run("counts", s.testCounts)
	t.Run("end", s.testEnd)
	if body := s.root.get(t, "/ops"); !strings.Contains(body, "This store has no list of the newest sessions") {
		t.Error("the page does not say that it has no list")
	}
}

// A site is an application with the page mounted at /ops, and who is logged in.
type site struct {
	url     string
	manager *session.Manager
	root    *browser
	users   map[string][]*browser
}

// open starts a site on a store, where some have logged in.
func open(t *testing.T, provider, savePath string) *site {
	t.Helper()
	var meter *admin.Meter
	m, err := session.New(session.Config{
		Provider: provider, SavePath: savePath, Logger: slog.New(slog.DiscardHandler),
		WrapStore: func(s backend.Store) backend.Store { s, meter = admin.Measure(s); return s },
	})
	if err != nil {
		t.Fatal(err)
	}
	page, err := admin.New(m, admin.Options{
		Authorize: func(*http.Request) error { return nil }, Meter: meter, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/login", func(_ http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r)
		s.Set("cart", 1)
		s.SetLabel(r.FormValue("label"))
		s.SetUser(r.FormValue("user"))
	})
	mux.HandleFunc("/who", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, session.FromContext(r).User()) })
	mux.Handle("/ops", page)
	server := httptest.NewServer(m.Middleware(mux))
	t.Cleanup(func() {
		server.Close()
		if err := m.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	s := &site{url: server.URL, manager: m, users: map[string][]*browser{}}
	for _, user := range []string{"root", "ada", "ada", "adam", "Ada", "bob", ""} {
		s.users[user] = append(s.users[user], s.login(t, user))
	}
	s.root = s.users["root"][0]
	return s
}

// login returns a browser that has logged in, with a label that says who.
func (s *site) login(t *testing.T, user string) *browser {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	b := &browser{s.url, &http.Client{Jar: sessiontest.NewJar(), Transport: transport}}
	b.get(t, "/login?"+url.Values{"user": {user}, "label": {"phone of " + user}}.Encode())
	return b
}

var userLink = regexp.MustCompile(`<tr>\s*<td>(?:<a href="([^"]*)">|<span class="soft">)([^<]*)<`)

// listed returns the users whose newest sessions a page lists, in order of
// their names, and where the names lead.
func listed(body string) (users, links []string) {
	for _, row := range userLink.FindAllStringSubmatch(body, -1) {
		users, links = append(users, html.UnescapeString(row[2])), append(links, html.UnescapeString(row[1]))
	}
	slices.Sort(users) // IDs of one millisecond have no order
	return users, links
}

func (s *site) testNewest(t *testing.T) {
	body := s.root.get(t, "/ops")
	want := []string{"Ada", "ada", "ada", "adam", "bob", "nobody yet", "root"}
	if got, _ := listed(body); !slices.Equal(got, want) {
		t.Errorf("the page lists %q, want %q", got, want)
	}
	if !strings.Contains(body, "phone of adam") {
		t.Error("the page lacks a label")
	}
}

func (s *site) testPrefix(t *testing.T) {
	for begin, want := range map[string][]string{
		"ada": {"ada", "ada", "adam"}, "A": {"Ada"}, "adam": {"adam"}, "bobby": nil, "%": nil, "_da": nil,
	} {
		body := s.root.get(t, "/ops?"+url.Values{"user": {begin}, "by": {"prefix"}}.Encode())
		if got, _ := listed(body); !slices.Equal(got, want) {
			t.Errorf("names that begin with %q: the page lists %q, want %q", begin, got, want)
		}
	}
}

var live = regexp.MustCompile(`<dt>Live</dt><dd>([^<]*)</dd>`)

func (s *site) testCounts(t *testing.T) {
	body := s.root.get(t, "/ops")
	if got := live.FindStringSubmatch(body); len(got) != 2 || got[1] != "7" {
		t.Errorf("the page counts %q live sessions, want 7", got)
	}
	if !strings.Contains(body, `<tr><th scope="row">Creates</th><td class="number">7</td>`) {
		t.Error("the page does not count 7 creates")
	}
	if !strings.Contains(body, "store calls in the last 15 minutes") {
		t.Error("the page has no latency of the store")
	}
}

func (s *site) testEnd(t *testing.T) {
	infos, err := s.manager.Sessions(t.Context(), "ada")
	if err != nil || len(infos) != 2 {
		t.Fatalf("Sessions = %d, %v; want 2", len(infos), err)
	}
	first, second := s.users["ada"][0], s.users["ada"][1]
	body := s.root.post(t, "/ops?user=ada", url.Values{"do": {"revoke"}, "id": {infos[0].ID}}) // the latest login first
	if !strings.Contains(body, "1 ended.") || strings.Contains(body, infos[0].ID) || !strings.Contains(body, infos[1].ID) {
		t.Error("one session is ended: the page does not show the other one alone")
	}
	first.wantUser(t, "ada")
	second.wantUser(t, "")
	if body := s.root.post(t, "/ops?user=ada", url.Values{"do": {"revoke-user"}}); !strings.Contains(body, "1 ended.") || !strings.Contains(body, "ada has no session") {
		t.Error("all of ada's are ended: the page does not say so")
	}
	first.wantUser(t, "")
	for _, other := range []string{"Ada", "adam", "bob"} {
		s.users[other][0].wantUser(t, other)
	}
	if got := live.FindStringSubmatch(s.root.get(t, "/ops")); len(got) != 2 || got[1] != "5" {
		t.Errorf("the page counts %q live sessions when two of seven were ended, want 5", got)
	}
}

// testAnyName: a name of whatever bytes is found, and leads to its sessions.
func (s *site) testAnyName(t *testing.T) {
	for _, user := range []string{"z\xffda", "z\nda", `z"><b>&amp;`, "z00 %41+%zz", "z\x00b", `z\'; --`} {
		b := s.login(t, user)
		_, links := listed(s.root.get(t, "/ops?"+url.Values{"user": {user[:2]}, "by": {"prefix"}}.Encode()))
		if len(links) != 1 {
			t.Errorf("%q: its first two bytes find %d sessions, want 1", user, len(links))
			continue
		}
		if body := s.root.post(t, "/ops"+links[0], url.Values{"do": {"revoke-user"}}); !strings.Contains(body, "1 ended.") {
			t.Errorf("%q: its link does not end its session", user)
		}
		b.wantUser(t, "")
	}
}

// A browser has a cookie jar, and sends what browsers send.
type browser struct {
	url  string
	http *http.Client
}

func (b *browser) get(t *testing.T, path string) string {
	t.Helper()
	return b.do(t, "GET", path, nil)
}

func (b *browser) post(t *testing.T, path string, form url.Values) string {
	t.Helper()
	return b.do(t, "POST", path, form)
}

func (b *browser) do(t *testing.T, method, path string, form url.Values) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, b.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if method == "POST" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	resp, err := b.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: status %d (%v)\n%s", method, path, resp.StatusCode, err, body)
	}
	return string(body)
}

// wantUser fails the test unless the site takes the browser for this user's.
func (b *browser) wantUser(t *testing.T, want string) {
	t.Helper()
	if got := b.get(t, "/who"); got != want {
		t.Errorf("the site takes the browser for %q, want %q", got, want)
	}
}

// started returns a function that takes what starts a server: it is stopped
// when the test is over.
func started[S interface{ Stop() error }](t *testing.T) func(server S, err error) S {
	return func(server S, err error) S {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := server.Stop(); err != nil {
				t.Error(err)
			}
		})
		return server
	}
}

func databaseOf(t *testing.T, server interface{ CreateDatabase() (string, error) }) string {
	t.Helper()
	name, err := server.CreateDatabase()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

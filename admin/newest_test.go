package admin_test

import (
	"bytes"
	"fmt"
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/admin"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/backend/memory"
)

var userLink = regexp.MustCompile(`<tr>\s*<td>(?:<a href="([^"]*)">|<span class="soft">)([^<]*)<`)

// newestOn returns the users of the newest sessions that a page lists, and
// where their names lead.
func newestOn(body string) (users, links []string) {
	for _, row := range userLink.FindAllStringSubmatch(body, -1) {
		users, links = append(users, html.UnescapeString(row[2])), append(links, html.UnescapeString(row[1]))
	}
	return users, links
}

// TestNewest: the page lists who came last, and whose name begins with
// something; a name leads to the user's sessions, where they can be ended.
func TestNewest(t *testing.T) {
	s := open(t, "chi")
	root := s.login(t, "root", "laptop")
	for _, user := range []string{"ada", "bob", "", "adam", "Ada"} {
		s.login(t, user, "the phone of "+user)
	}
	for query, want := range map[string][]string{
		"":                         {"Ada", "ada", "adam", "bob", "nobody yet", "root"},
		"?user=ada&by=prefix":      {"ada", "adam"},
		"?user=A&by=prefix":        {"Ada"},
		"?user=&by=prefix":         {"Ada", "ada", "adam", "bob", "nobody yet", "root"},
		"?user=nobody&by=prefix":   nil,
		"?user=" + "%25&by=prefix": nil,
	} {
		_, body := root.get("/ops/sessions" + query)
		got, _ := newestOn(body)
		slices.Sort(got) // IDs of one millisecond have no order
		if !slices.Equal(got, want) {
			t.Errorf("%q lists %q, want %q", query, got, want)
		}
		if (len(want) == 0) != strings.Contains(body, "There are none.") {
			t.Errorf("%q says that there are none: %t", query, len(want) != 0)
		}
		if strings.Contains(body, secretValue) || strings.Contains(body, `value="revoke"`) {
			t.Errorf("%q has a value in it, or a button that ends something", query)
		}
	}
	_, body := root.get("/ops/sessions?user=ada&by=prefix")
	for _, want := range []string{"the phone of adam", `name="user" value="ada"`, "of users whose names begin with ada</h2>"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if _, links := newestOn(body); len(links) != 2 || !slices.Contains(links, "?user=ada") {
		t.Errorf("the names lead to %q", links)
	}
}

// TestNewestAnyName: a name of whatever bytes leads to its sessions.
func TestNewestAnyName(t *testing.T) {
	s := open(t, "chi")
	root := s.login(t, "root", "laptop")
	for _, user := range []string{"a\xffda", "a\nda", `"><b>&amp;`, "100 %41+%zz", "?user=root#", "a\x00b"} {
		s.login(t, user, "one")
		_, body := root.get("/ops/sessions?" + url.Values{"user": {user[:2]}, "by": {"prefix"}}.Encode())
		_, links := newestOn(body)
		if len(links) != 1 {
			t.Errorf("%q: its first two bytes find %d sessions, want 1", user, len(links))
			continue
		}
		query, err := url.ParseQuery(strings.TrimPrefix(links[0], "?"))
		if err != nil || query.Get("user") != user {
			t.Errorf("%q: the link %q leads to %q, %v", user, links[0], query.Get("user"), err)
		}
		if _, err := s.manager.RevokeUser(t.Context(), user); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNewestBounded: however many there are, the page lists 20.
func TestNewestBounded(t *testing.T) {
	s := open(t, "chi")
	root := s.login(t, "root", "laptop")
	for i := range 30 {
		s.login(t, fmt.Sprintf("robot-%02d", i), "")
	}
	_, body := root.get("/ops/sessions")
	if users, _ := newestOn(body); len(users) != 20 {
		t.Errorf("the page lists %d, want 20", len(users))
	}
}

// pageOf returns the page of a manager on store, open to everybody, and its log.
func pageOf(t *testing.T, store backend.Store, measured bool) (body string, logged *bytes.Buffer) {
	t.Helper()
	var meter *admin.Meter
	if measured {
		store, meter = admin.Measure(store)
	}
	m, err := session.New(session.Config{Store: store, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	logged = new(bytes.Buffer)
	page, err := admin.New(m, admin.Options{
		Authorize: func(*http.Request) error { return nil }, Meter: meter, Logger: slog.New(slog.NewTextHandler(logged, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	page.ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
	return rec.Body.String(), logged
}

// TestNewestNot: why there is no list, the page says: the store cannot, it is
// not known, it does not answer.
func TestNewestNot(t *testing.T) {
	store, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	fault := backendtest.NewFault(store)
	fault.On(backendtest.OpList, backendtest.Always, backendtest.Fail(backend.ErrClosed))
	for name, c := range map[string]struct {
		store    backend.Store
		measured bool
		want     string
		can      bool
	}{
		"unknown":  {store, false, "Not known: wrap the store with admin.Measure.", false},
		"cannot":   {struct{ backend.Store }{store}, true, "This store has no list of the newest sessions", false},
		"fails":    {fault.Store(), true, "could not be listed; the log says why", true},
		"is empty": {store, true, "There are none.", true},
	} {
		body, logged := pageOf(t, c.store, c.measured)
		if !strings.Contains(body, c.want) {
			t.Errorf("%s: the page does not say %q", name, c.want)
		}
		if can := strings.Contains(body, `value="prefix"`); can != c.can {
			t.Errorf("%s: the page offers to search by prefix: %t", name, can)
		}
		if said := strings.Contains(logged.String(), "could not list the newest sessions"); said != (name == "fails") {
			t.Errorf("%s: the log says %q", name, logged)
		}
	}
}

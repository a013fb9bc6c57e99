package main

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/backend/goredis"
	"github.com/chisession/session/cookie"
)

// A browser is somebody who is logged in to an application.
type browser struct{ token string }

// visit has the browser make a request to an application on a store, and returns
// the user and the value that it finds; "" if it is logged out. act may change the
// session.
func (b *browser) visit(t *testing.T, store backend.Store, act func(*session.Session)) (user, value string) {
	t.Helper()
	m, err := session.New(session.Config{Store: store, SweepEvery: -1, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	r := httptest.NewRequest("GET", "https://shop.example/", nil)
	if b.token != "" {
		r.AddCookie(&http.Cookie{Name: cookie.DefaultName, Value: b.token})
	}
	w := httptest.NewRecorder()
	m.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r)
		user = s.User()
		value, _ = session.Get[string](s, "secret")
		if act != nil {
			act(s)
		}
	})).ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("the application responds with %d", w.Code)
	}
	for _, c := range w.Result().Cookies() {
		b.token = c.Value
	}
	return user, value
}

func as(user, value string) func(*session.Session) {
	return func(s *session.Session) {
		s.SetUser(user)
		s.Set("secret", value)
	}
}

// move exports from one site and imports into another, and returns what import
// says.
func move(t *testing.T, from, to site, flags ...string) string {
	t.Helper()
	exported := ctl(t, from.args("export")...)
	if exported.code != exitOK {
		t.Fatalf("export from %s: code %d, %s", from.provider, exported.code, exported.stderr)
	}
	exported.lacks(t)
	r := importInto(t, to, exported.stdout, flags...)
	if r.code != exitOK {
		t.Fatalf("import into %s: code %d, %s%s", to.provider, r.code, r.stdout, r.stderr)
	}
	return r.stdout
}

func importInto(t *testing.T, to site, export string, flags ...string) result {
	t.Helper()
	a := plainApp()
	a.stdin = strings.NewReader(export)
	return ctlWith(t, a, to.args(append([]string{"import"}, flags...)...)...)
}

// sites makes a place of each kind.
func sites(t *testing.T) map[string]site {
	m, p, r := startMariaDB(t), startPostgres(t), goodRedis(t)
	url := "redis://:" + r.Password() + "@" + r.Addr() + "/0?prefix="
	all := map[string]site{
		"file":     newSite(t, "file", filepath.Join(t.TempDir(), "sessions"), ""),
		"sqlite":   newSite(t, "sqlite", filepath.Join(t.TempDir(), "sessions.db"), ""),
		"mysql":    newSite(t, "mysql", m.DSN(database(t, m)), m.Password()),
		"postgres": newSite(t, "postgres", p.DSN(postgresDatabase(t, p)), p.Password()),
		"redis":    newSite(t, "redis", url+"a:", r.Password()),
		"goredis":  newSite(t, goredis.Name, url+"b:", r.Password()),
		"rueidis":  newSite(t, goredis.Name, url+"c:", r.Password()), // the same bytes at the same keys
	}
	rueidis := all["rueidis"]
	rueidis.provider = "rueidis"
	all["rueidis"] = rueidis
	return all
}

// TestMoveLogsNobodyOut: users who are logged in before sessions move to another
// store are logged in afterwards, with the cookies that they hold and with all
// values; when they move back, what happened meanwhile comes with them, a logout
// included.
func TestMoveLogsNobodyOut(t *testing.T) {
	all := sites(t)
	for _, way := range [][2]string{{"file", "postgres"}, {"redis", "mysql"}, {"goredis", "sqlite"}} {
		t.Run(way[0]+" to "+way[1]+" and back", func(t *testing.T) {
			old, fresh := all[way[0]], all[way[1]]
			var ada, bob, eve, dan browser
			ada.visit(t, old.store, as("ada", secretValue))
			bob.visit(t, old.store, as("bob", "bob's"))
			eve.visit(t, old.store, func(s *session.Session) { s.Set("secret", "nobody's") })
			if got, want := move(t, old, fresh), "imported 3 sessions: 3 new, 0 there already\n"; got != want {
				t.Errorf("import: %q, want %q", got, want)
			}
			for _, c := range []struct {
				who         *browser
				user, value string
			}{{&ada, "ada", secretValue}, {&bob, "bob", "bob's"}, {&eve, "", "nobody's"}} {
				if user, value := c.who.visit(t, fresh.store, nil); user != c.user || value != c.value {
					t.Errorf("after the move %q finds user %q and value %q", c.user, user, value)
				}
			}
			ada.visit(t, fresh.store, func(s *session.Session) { s.Set("secret", "changed") })
			bob.visit(t, fresh.store, func(s *session.Session) { s.Destroy() })
			eve.visit(t, fresh.store, as("eve", "eve's")) // a new token
			dan.visit(t, fresh.store, as("dan", "dan's"))
			if got, want := move(t, fresh, old, "--mirror"), "imported 3 sessions: 1 new, 0 there already, 2 replaced, 1 ended\n"; got != want {
				t.Errorf("import --mirror: %q, want %q", got, want)
			}
			for _, c := range []struct {
				who         *browser
				user, value string
			}{{&ada, "ada", "changed"}, {&bob, "", ""}, {&eve, "eve", "eve's"}, {&dan, "dan", "dan's"}} {
				if user, value := c.who.visit(t, old.store, nil); user != c.user || value != c.value {
					t.Errorf("after the move back, for %q: user %q and value %q", c.user, user, value)
				}
			}
			if infos := must(t, old.args("ls", "--user", "ada")...); !strings.Contains(infos, "LABEL") {
				t.Errorf("after the move back, ls --user ada: %s", infos)
			}
		})
	}
}

// TestMoveExactly: through every store in a row, a record keeps its ID, its user,
// whatever bytes it has, its data and its expiry to the millisecond.
func TestMoveExactly(t *testing.T) {
	all := sites(t)
	long := strings.Repeat("ü", backend.MaxUser/2)
	var want []backend.Record
	for i, user := range []string{"", "ada", "a\xffda\n", "Ada ", long} {
		rec := backend.Record{
			ID: uuid.Must(uuid.NewV7()), User: user, Data: bytes.Repeat([]byte{byte(i), 0, 0xff}, 1+i*5000),
			Expires: time.Now().Add(time.Duration(i+1) * time.Hour).Truncate(time.Millisecond),
		}
		want = append(want, rec)
		if err := all["file"].store.Create(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
	route := []string{"file", "sqlite", "mysql", "postgres", "redis", "goredis", "rueidis", "sqlite"}
	for i, name := range route[1:] {
		move(t, all[route[i]], all[name])
		for _, w := range want {
			got, err := all[name].store.Load(t.Context(), w.ID)
			if err != nil || got.User != w.User || !bytes.Equal(got.Data, w.Data) || !got.Expires.Equal(w.Expires) || got.Version != 1 {
				t.Errorf("%s: %v, user %q, expires %v, %v; want user %q, expires %v, version 1", name, got, got.User, got.Expires, err, w.User, w.Expires)
			}
		}
		if name != "sqlite" {
			continue
		}
		if text := must(t, all[name].args("ls")...); strings.Count(text, "\n") != 1+len(want) {
			t.Errorf("%s: ls lists\n%s", name, text)
		}
	}
}

// TestImportResumes: an export that was cut short is told, what came of it is
// there, and the same import again stores the rest.
func TestImportResumes(t *testing.T) {
	from := newSite(t, "file", filepath.Join(t.TempDir(), "a"), "")
	to := newSite(t, "file", filepath.Join(t.TempDir(), "b"), "")
	for range 3 {
		new(browser).visit(t, from.store, as("ada", secretValue))
	}
	export := must(t, from.args("export")...)
	lines := strings.SplitAfter(export, "\n")
	if len(lines) != 6 { // header, three records, end, nothing
		t.Fatalf("the export has %d lines:\n%s", len(lines)-1, export)
	}
	for name, text := range map[string]string{
		"in a record": strings.Join(lines[:3], "")[:len(lines[0])+len(lines[1])+50], "between two": strings.Join(lines[:2], ""),
		"a line is missing": lines[0] + lines[1] + strings.Join(lines[3:], ""),
	} {
		if r := importInto(t, to, text); r.code != exitFail || !strings.Contains(r.stderr, "the export is ") {
			t.Errorf("cut %s: code %d, %q %q", name, r.code, r.stdout, r.stderr)
		}
	}
	for text, want := range map[string]string{
		"": "not what sessionctl export writes", "hello\n": "not what sessionctl export writes", "{}\n": "not what sessionctl export writes",
		`{"sessionctl_export":9}` + "\n": "of a newer sessionctl",
	} {
		if r := importInto(t, to, text); r.code != exitFail || !strings.Contains(r.stderr, want) {
			t.Errorf("%q: code %d, %q, want %q", text, r.code, r.stderr, want)
		}
	}
	for range 2 {
		if r := importInto(t, to, export); r.code != exitOK || !strings.HasPrefix(r.stdout, "imported 3 sessions: ") {
			t.Errorf("the whole: code %d, %q %q", r.code, r.stdout, r.stderr)
		}
	}
	if got := importInto(t, to, export).stdout; got != "imported 3 sessions: 0 new, 3 there already\n" {
		t.Errorf("once more: %q", got)
	}
}

// TestImportMeets: what becomes of a record that is there already.
func TestImportMeets(t *testing.T) {
	now := time.Now().Truncate(time.Millisecond)
	id := uuid.Must(uuid.NewV7())
	rec := func(user, data string, hours int) backend.Record {
		return backend.Record{ID: id, User: user, Data: []byte(data), Expires: now.Add(time.Duration(hours) * time.Hour)}
	}
	for name, c := range map[string]struct {
		there, in       backend.Record
		plain, mirror   outcome
		after, mirrored backend.Record
	}{
		"the same":          {rec("a", "x", 2), rec("a", "x", 2), unchanged, unchanged, rec("a", "x", 2), rec("a", "x", 2)},
		"it lives longer":   {rec("a", "x", 2), rec("a", "x", 3), unchanged, unchanged, rec("a", "x", 3), rec("a", "x", 3)},
		"it lives shorter":  {rec("a", "x", 2), rec("a", "x", 1), unchanged, replaced, rec("a", "x", 2), rec("a", "x", 1)},
		"other data":        {rec("a", "x", 2), rec("a", "y", 1), kept, replaced, rec("a", "x", 2), rec("a", "y", 1)},
		"another user":      {rec("", "x", 2), rec("a", "x", 2), kept, replaced, rec("", "x", 2), rec("a", "x", 2)},
		"the export is old": {rec("a", "x", 2), rec("a", "x", -1), expired, expired, rec("a", "x", 2), rec("a", "x", 2)},
	} {
		for mirror, want := range map[bool]outcome{false: c.plain, true: c.mirror} {
			store := newSite(t, "file", filepath.Join(t.TempDir(), "s"), "").store
			if err := store.Create(t.Context(), c.there); err != nil {
				t.Fatal(err)
			}
			im := importer{store: store, mirror: mirror, now: time.Now}
			got, err := im.put(t.Context(), c.in)
			if err != nil || got != want {
				t.Errorf("%s, mirror %t: %v, %v, want %v", name, mirror, got, err, want)
			}
			after := c.after
			if mirror {
				after = c.mirrored
			}
			if got, err := store.Load(t.Context(), id); err != nil || got.User != after.User || string(got.Data) != string(after.Data) || !got.Expires.Equal(after.Expires) {
				t.Errorf("%s, mirror %t: there is %v, user %q, expires %v, %v", name, mirror, got, got.User, got.Expires, err)
			}
		}
	}
}

// TestMirrorSparesTheNew: a mirror ends nothing that was created after the export
// began, and does not mirror an empty export.
func TestMirrorSparesTheNew(t *testing.T) {
	from := newSite(t, "file", filepath.Join(t.TempDir(), "a"), "")
	to := newSite(t, "file", filepath.Join(t.TempDir(), "b"), "")
	var old, later browser
	old.visit(t, to.store, as("old", "x"))
	empty := must(t, from.args("export")...)
	if r := importInto(t, to, empty, "--mirror"); r.code != exitFail || !strings.Contains(r.stderr, "would end all") {
		t.Errorf("a mirror of nothing: code %d, %q %q", r.code, r.stdout, r.stderr)
	}
	var ada browser
	ada.visit(t, from.store, as("ada", "x"))
	a := &app{now: func() time.Time { return time.Now().Add(-time.Hour) }} // the export began an hour ago
	earlier := ctlWith(t, a, from.args("export")...)
	later.visit(t, to.store, as("later", "x"))
	if r := importInto(t, to, earlier.stdout, "--mirror"); r.code != exitOK || r.stdout != "imported 1 session: 1 new, 0 there already\n" {
		t.Errorf("a mirror of an old export: code %d, %q %q", r.code, r.stdout, r.stderr)
	}
	if got := move(t, from, to, "--mirror"); got != "imported 1 session: 0 new, 1 there already, 2 ended\n" {
		t.Errorf("a mirror: %q", got)
	}
}

// TestImportRefused: a record that the store cannot keep is named, the others are
// stored, and the exit code is 1; a store that fails ends it.
func TestImportRefused(t *testing.T) {
	from := newSite(t, "file", filepath.Join(t.TempDir(), "a"), "")
	to := newSite(t, "file", filepath.Join(t.TempDir(), "b"), "")
	id, _ := login(t, from.store, "ada")
	login(t, from.store, "bob")
	export := must(t, from.args("export")...)
	for _, c := range []struct {
		err  error
		text string
		new  int
	}{{backend.ErrTooLarge, "session " + id + " is not imported: ", 1}, {backend.ErrClosed, backend.ErrClosed.Error(), -1}} {
		fault := backendtest.NewFault(to.store)
		fault.Before = func(_ context.Context, call backendtest.Call) error {
			if call.Op == backendtest.OpCreate && call.ID.String() == id {
				return c.err
			}
			return nil
		}
		var stdout, stderr bytes.Buffer
		a := &app{stdout: &stdout, stderr: &stderr, now: time.Now, json: true}
		err := a.runImport(t.Context(), &service{store: fault.Store()}, strings.NewReader(export), false)
		if err == nil || !strings.Contains(err.Error()+stderr.String(), c.text) {
			t.Errorf("%v: import returns %v, and says %s", c.err, err, &stderr)
		}
		if c.new >= 0 && !strings.Contains(stdout.String(), `"refused": 1`) {
			t.Errorf("%v: the report is %s", c.err, &stdout)
		}
	}
}

// TestExportFile: a file is new, and its owner's alone; damaged records are left
// out and counted.
func TestExportFile(t *testing.T) {
	s := newSite(t, "file", filepath.Join(t.TempDir(), "a"), "")
	login(t, s.store, "ada")
	id, _ := login(t, s.store, "bob")
	damaged, err := filepath.Glob(filepath.Join(s.savePath, "*", id))
	if err != nil || len(damaged) != 1 {
		t.Fatal(damaged, err)
	}
	if err := os.WriteFile(damaged[0], []byte("nothing of ours"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "export")
	if got, want := must(t, s.args("export", "--file", file)...), "exported 1 session, 1 damaged and left out\n"; got != want {
		t.Errorf("export: %q, want %q", got, want)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("the file: %v, %v, want mode 0600", info.Mode(), err)
	}
	if r := ctl(t, s.args("export", "--file", file)...); r.code != exitFail || !strings.Contains(r.stderr, "file exists") {
		t.Errorf("export into a file that is there: code %d, %q", r.code, r.stderr)
	}
}

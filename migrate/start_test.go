package migrate_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/memory"
	"github.com/chisession/session/cookie"
	"github.com/chisession/session/migrate"
)

// surveyed is an old store that says what it sees.
type surveyed struct {
	*oldStore
	found migrate.Survey
	err   error
}

func (s surveyed) Survey(context.Context, string) (migrate.Survey, error) { return s.found, s.err }

// A program that moves with its configuration keeps its cookie's name: the old
// one is looked for under that, and under the old library's default.
func TestOldCookieHasTheNameOfTheNewOne(t *testing.T) {
	store, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	cfg := session.Config{Store: store, Cookie: cookie.Options{Name: "sid", Insecure: true}}
	for _, name := range []string{"sid", oldName} {
		a := newProcessWith(t, cfg, holding(ann), migrate.Options{Adopted: login}, show)
		token := expect(t, a.get("/", name+"="+oldID), 200, "ann Ann", 1)
		if !strings.HasPrefix(token, "sid=") {
			t.Errorf("the new cookie is %.10s…", token)
		}
	}
	a := newProcessWith(t, cfg, holding(ann), migrate.Options{Adopted: login, CookieName: "other"}, show)
	expect(t, a.get("/", "sid="+oldID, oldCookie), 200, " <nil>", 0)
	expect(t, a.get("/", "other="+oldID), 200, "ann Ann", 2) // and the removal of the old one
}

func TestIDPrefix(t *testing.T) {
	for _, prefix := range []string{"shop_", "shop:"} {
		old := &oldStore{records: map[string][]byte{prefix + oldID: gobOf(ann)}}
		a := newApp(t, old, migrate.Options{Adopted: login, IDPrefix: prefix})
		expect(t, a.get("/", oldCookie), 200, " <nil>", 0)
		if text := a.log.String(); !strings.Contains(text, "IDPrefix") || strings.Contains(text, oldID) {
			t.Errorf("the log does not say that the cookie has another form: %s", text)
		}
		escaped := strings.ReplaceAll(prefix, ":", "%3A") // as Beego sets it
		expect(t, a.get("/", oldName+"="+escaped+oldID), 200, "ann Ann", 1)
	}
	for _, bad := range []string{"../", `a\`, "a b", "a.", "ä", `"`} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("the prefix %q is taken", bad)
				}
			}()
			newApp(t, holding(ann), migrate.Options{IDPrefix: bad})
		}()
	}
}

// What adopts nobody shows in the log at start.
func TestStartSaysWhereItLooks(t *testing.T) {
	for name, tt := range map[string]struct {
		source migrate.Source
		want   []string
	}{
		"full":           {surveyed{holding(ann), migrate.Survey{Where: "there", Live: 3, Expired: 2, More: true}, nil}, []string{"INFO", "where=there", "live=3", "expired=2", "more=true"}},
		"empty":          {surveyed{holding(ann), migrate.Survey{Where: "there"}, nil}, []string{"WARN", "there is none", "where=there"}},
		"all expired":    {surveyed{holding(ann), migrate.Survey{Where: "there", Expired: 7}, nil}, []string{"WARN", "lifetime", "expired=7"}},
		"not to be seen": {surveyed{holding(ann), migrate.Survey{Where: "there"}, errors.New("no right")}, []string{"WARN", "could not be counted", "no right", "where=there"}},
		"no surveyor":    {holding(ann), []string{"INFO"}},
	} {
		a := newApp(t, nil, migrate.Options{})
		a = newProcess(t, a.store, tt.source, migrate.Options{IDPrefix: "x-"}, show)
		for _, want := range append(tt.want, `cookies="beegosessionID, old"`, `ids="x-id- and a name"`) {
			if text := a.log.String(); !strings.Contains(text, want) {
				t.Errorf("%s: the log does not say %s:\n%s", name, want, text)
			}
		}
	}
}

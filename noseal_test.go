package session_test

import (
	"context"
	"strings"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
)

// TestNoSealHoldsAgainstWriters: where values are readable, whoever can write
// the store can still not be somebody else, or change what a session says.
func TestNoSealHoldsAgainstWriters(t *testing.T) {
	forEachKind(t, func(t *testing.T, k kind) {
		store := k.open(t)
		// Not by a store in this process: its records are of no use to others.
		caps := without(store, backendtest.InProcess)
		a := newAppWith(t, session.Config{Store: store, NoSeal: true}, caps)
		a.play(map[string]deed{"role": func(s *session.Session) error {
			s.Set("role", "guest")
			s.SetUser("ada")
			s.SetLabel("Firefox")
			return nil
		}})
		for name, edit := range map[string]func(rec *backend.Record){
			"nothing":      func(*backend.Record) {},
			"the user":     func(rec *backend.Record) { rec.User = "root" },
			"no user":      func(rec *backend.Record) { rec.User = "" },
			"a value":      func(rec *backend.Record) { replaceIn(t, rec, "guest", "admin") },
			"the label":    func(rec *backend.Record) { replaceIn(t, rec, "Firefox", "Firefux") },
			"the flags":    func(rec *backend.Record) { rec.Data = append([]byte{rec.Data[0], rec.Data[1] ^ 2}, rec.Data[2:]...) },
			"no tag":       func(rec *backend.Record) { rec.Data = append([]byte{rec.Data[0], rec.Data[1] &^ 8}, rec.Data[2:]...) },
			"the tag, out": func(rec *backend.Record) { stripTag(t, rec) },
		} {
			b := a.browser(t)
			b.get("/role").want200(t)
			rec := a.record(t, b.token())
			if string(rec.Data) == "" || !containsText(rec, "guest") {
				t.Errorf("the value is not readable with NoSeal")
			}
			edit(&rec)
			a.plant(t, rec)
			want := "none"
			if name == "nothing" {
				want = `"ada" role=guest`
			}
			if state := b.state(); state != want {
				t.Errorf("%s edited: the session is %s, want %s", name, state, want)
			}
		}
		if n := len(a.log.lines("WARN", "unreadable record")); n < 7 {
			t.Errorf("%d edited records in the log, want one each", n)
		}
		// Another record's Data is no good either.
		one, two := a.browser(t), a.browser(t)
		one.get("/role").want200(t)
		two.get("/start").want200(t)
		rec := a.record(t, two.token())
		rec.ID = idOf(t, one.token())
		a.plant(t, rec)
		one.wantState("none")
		// Sealed from now on, the readable ones are still of use, and the next
		// write seals them.
		b := a.browser(t)
		b.get("/role").want200(t)
		sealed := newAppWith(t, session.Config{Store: store}, caps)
		sealed.play(nil)
		c := sealed.browser(t)
		c.setToken(b.token())
		c.wantState(`"ada" role=guest`)
		c.get("/set").want200(t)
		if rec, err := store.Load(context.Background(), idOf(t, b.token())); err != nil || containsText(rec, "guest") {
			t.Errorf("the value is readable after a write without NoSeal (%v)", err)
		}
		b.wantState(`"ada" late=true role=guest`)
	})
}

func containsText(rec backend.Record, text string) bool {
	return strings.Contains(string(rec.Data), text)
}

func replaceIn(t *testing.T, rec *backend.Record, from, to string) {
	t.Helper()
	if strings.Count(string(rec.Data), from) != 1 {
		t.Fatalf("the record has %q not once", from)
	}
	rec.Data = []byte(strings.Replace(string(rec.Data), from, to, 1))
}

// stripTag makes the record one without tag, as they were before there was one.
func stripTag(t *testing.T, rec *backend.Record) {
	t.Helper()
	data := string(rec.Data)
	end := strings.Index(data, "Firefox") + len("Firefox")
	rec.Data = []byte(data[:1] + string(data[1]&^8) + data[2:end] + data[end+28:])
}

package behaviour

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/admin"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/backend/memory"
	"github.com/chisession/session/cookie"
)

// secrecyCases are about what the application and its log may see.
var secrecyCases = []behaviour{
	once("printing shows no secret", nothingPrinted),
	each("errors and logs show no secret", nothingInErrors),
	once("every event is told, without a secret", events),
}

// nothingPrinted prints every exported type in every way.
func nothingPrinted(t *testing.T) {
	const value, password = "canary-value", "canary-password"
	store := newMemory(t)
	cfg := session.Config{Store: store, SavePath: ""}
	m := newManager(t, cfg)
	_, token := visit(m, "", func(s *session.Session) { s.Set("k", value); s.SetUser("ann") })
	raw := rawToken(t, token)
	var printed bytes.Buffer
	show := func(what string, v any) {
		fmt.Fprintf(&printed, "%s: %v %+v %#v %s %q %x\n", what, v, v, v, v, v, v)
		slog.New(slog.NewTextHandler(&printed, nil)).Info(what, "v", v)
		slog.New(slog.NewJSONHandler(&printed, nil)).Info(what, "v", v)
		if text, err := json.Marshal(v); err == nil {
			printed.Write(text)
		}
	}
	visit(m, token, func(s *session.Session) {
		show("session", s)
		s.Update(func(v *session.Values) error {
			show("values", v)
			show("values", *v)
			return nil
		})
	})
	show("manager", m)
	show("config", session.Config{Provider: "redis", SavePath: password})
	infos, err := m.Sessions(t.Context(), "ann")
	if err != nil || len(infos) != 1 {
		t.Fatalf("Sessions: %v, %d", err, len(infos))
	}
	show("info", infos[0])
	rec, err := store.Load(t.Context(), idOf(t, token))
	if err != nil {
		t.Fatal(err)
	}
	show("record", rec)
	measured, meter := admin.Measure(store)
	for what, v := range map[string]any{
		"store": store, "measured store": measured, "meter": meter, "wrapped store": backendtest.NewFault(store).Store(),
		"plain store": backendtest.NewFault(store).StoreWith(0),
	} {
		show(what, v)
	}
	contexts := func(r *http.Request) {
		show("context", r.Context())
		show("lasting context", context.WithoutCancel(r.Context()))
		show("derived context", context.WithValue(r.Context(), t, store))
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Cookie", cookie.DefaultName+"="+token)
	m.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		session.FromContext(r).Get("k")
		contexts(r)
	})).ServeHTTP(httptest.NewRecorder(), r)
	s, err := m.Start(httptest.NewRecorder(), r)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	contexts(r)
	show("started session", s)
	for what, secret := range map[string]string{
		"the token": token, "the secret": fmt.Sprintf("%x", raw[16:]), "the secret's bytes": string(raw[16:]),
		"a value": value, "a value in hex": fmt.Sprintf("%x", value), "a password": password,
	} {
		if strings.Contains(printed.String(), secret) {
			t.Errorf("%s is printed:\n%s", what, printed.String())
		}
	}
}

// nothingInErrors: every store call fails, and no error, log
// line, hook or panic has a token or a value in it.
func nothingInErrors(t *testing.T, k Kind) {
	const canary = "canary-value"
	book := &logBook{}
	var said bytes.Buffer
	on := func(ctx context.Context, e session.Event) { fmt.Fprintf(&said, "%v %+v\n", ctx, e) }
	store := k.open(t)
	fault := backendtest.NewFault(store)
	m := newManager(t, session.Config{Store: fault.Store(), Logger: book.logger(), On: on, MaxBytes: 2000})
	var secrets []string
	deeds := map[string]func(*session.Session) error{
		"set":     func(s *session.Session) error { s.Set("k", canary); return s.Save() },
		"large":   func(s *session.Session) error { s.Set("k", strings.Repeat(canary, 400)); return s.Err() },
		"bad":     func(s *session.Session) error { s.Set("k", map[string]any{canary: func() {}}); return s.Err() },
		"invalid": func(s *session.Session) error { s.Set("k", []string{canary + "\xff"}); return s.Err() },
		"renew":   func(s *session.Session) error { s.Renew(); return s.Save() },
		"login":   func(s *session.Session) error { s.Set("k", canary); s.SetUser("ada"); return s.Save() },
		"destroy": func(s *session.Session) error { s.Destroy(); return s.Save() },
		"update": func(s *session.Session) error {
			_, err := session.Update(s, "k", func(string) string { return canary + "2" })
			return err
		},
		"reload": (*session.Session).Reload,
	}
	for name, deed := range deeds {
		for n := 1; n <= 4; n++ {
			_, token := visit(m, "", func(s *session.Session) { s.Set("k", canary+"1") })
			secrets = append(secrets, token[22:], string(rawToken(t, token)[16:]), hex.EncodeToString(rawToken(t, token)[16:]))
			calls := 0
			fault.Before = func(_ context.Context, call backendtest.Call) error {
				if calls++; calls >= n {
					return fmt.Errorf("%s of %v failed", call.Op, call.ID)
				}
				return nil
			}
			res, _ := visit(m, token, func(s *session.Session) {
				err := deed(s)
				fmt.Fprintln(&said, name, err, s.Err(), s)
			})
			fault.Before = nil
			if body := new(bytes.Buffer); res.StatusCode != 200 {
				body.ReadFrom(res.Body)
				fmt.Fprintln(&said, body)
			}
		}
	}
	text := said.String() + book.String()
	if strings.Count(text, "failed") < 30 {
		t.Fatalf("too little went wrong:\n%s", text)
	}
	for _, secret := range append(secrets, canary) {
		if at := strings.Index(text, secret); at >= 0 {
			t.Fatalf("a token or a value is in what was said: …%q…", text[max(0, at-200):min(len(text), at+200)])
		}
	}
}

// events: created, login, renewed, ended, rejected, tossed, broken,
// failed and evicted are all told, with the public ID and nothing secret.
func events(t *testing.T) {
	store, err := memory.New(memory.Options{MaxSessions: 2})
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]int{}
	on := func(_ context.Context, e session.Event) {
		what := strings.TrimSpace(fmt.Sprint(e.Kind, " ", e.Reason))
		if mustID(e.ID).Version() != 7 {
			t.Errorf("%s was told of %q", what, e.ID)
		}
		told[what]++
	}
	a := newStage(t, session.Config{Store: store, SweepEvery: -1, On: on}, nil)
	b := a.browser(t)
	b.get("/start")
	b.get("/login")
	id, dead := b.id(), b.twin()
	other := a.browser(t)
	r := other.request("GET", "/show")
	r.Header["Cookie"] = []string{a.name + "=" + UnknownToken() + "; " + a.name + "=" + b.token()}
	other.do(r)
	a.calls.On(backendtest.OpUpdate, 9, backendtest.Fail(errTest))
	b.get("/set")
	a.calls.Reset()
	b.get("/logout")
	dead.get("/show")
	b.get("/start")
	rec := a.record(t, b.token())
	rec.Data = []byte("damaged")
	a.plant(t, rec)
	b.get("/show")
	for range 3 {
		a.browser(t).get("/start")
	}
	revoked := a.browser(t)
	revoked.get("/login")
	if _, err := a.RevokeUser(t.Context(), "ada"); err != nil {
		t.Error(err)
	}
	for what, want := range map[string]int{"created": 6, "login": 2, "renewed": 1, "ended destroyed": 1, "ended revoked": 1, "rejected unknown": 2, "rejected tossed": 1, "rejected unreadable": 1, "failed": 1} {
		if told[what] != want {
			t.Errorf("%s was told %d times, want %d (of session %s)", what, told[what], want, id)
		}
	}
	if store.Evicted() == 0 {
		t.Error("evictions are not counted")
	}
	if counts, err := json.Marshal(a.Stats()); err != nil || len(counts) < 100 {
		t.Errorf("Stats as JSON: %s, %v", counts, err)
	}
}

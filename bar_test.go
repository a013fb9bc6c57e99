package session_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/backend/memory"
	"github.com/chisession/session/cookie"
)

// Tests of statements of SECURITY-BAR that no behaviour case decides; each is
// named after its statement. Others are in the tests that tests/mutate
// names.

// barStore returns a memory store; its records are sealed if it is handed to
// a manager through a Fault, which makes no claim to live in this process.
func barStore(t *testing.T) *memory.Store {
	t.Helper()
	store, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

func barManager(t *testing.T, cfg session.Config) *session.Manager {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	m, err := session.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// barRequest has m serve one request with a token, and returns the answer and
// the token that it brings.
func barRequest(m *session.Manager, token string, handle func(*session.Session)) (*http.Response, string) {
	r := httptest.NewRequest("GET", "https://example.com/", nil)
	if token != "" {
		r.AddCookie(&http.Cookie{Name: cookie.DefaultName, Value: token})
	}
	w := httptest.NewRecorder()
	m.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		handle(session.FromContext(r))
	})).ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		token = c.Value
	}
	return w.Result(), token
}

// rawToken returns the 16 bytes of the ID and the 32 of the secret.
func rawToken(t *testing.T, token string) []byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) != 48 {
		t.Fatalf("the answer's cookie is no token: %d bytes", len(raw))
	}
	return raw
}

// TestBar_ID1_Secret256Bits: all 256 bits of a secret take both values, in new
// sessions and in renewed ones.
// Of SECURITY-BAR: ID-1.
func TestBar_ID1_Secret256Bits(t *testing.T) {
	m := barManager(t, session.Config{})
	var created, renewed bitsSeen
	for range 64 {
		_, first := barRequest(m, "", func(s *session.Session) { s.Set("a", 1) })
		created.see(rawToken(t, first)[16:])
		_, second := barRequest(m, first, (*session.Session).Renew)
		renewed.see(rawToken(t, second)[16:])
	}
	created.check(t, "a new session")
	renewed.check(t, "a renewed session")
}

// bitsSeen are the bits of secrets that were 1 once, and 0 once.
type bitsSeen struct{ ones, zeros [32]byte }

func (b *bitsSeen) see(secret []byte) {
	for i := range secret {
		b.ones[i] |= secret[i]
		b.zeros[i] |= ^secret[i]
	}
}

func (b *bitsSeen) check(t *testing.T, whose string) {
	t.Helper()
	for i := range b.ones {
		if b.ones[i] != 0xff || b.zeros[i] != 0xff {
			t.Errorf("the secret of %s, byte %d: bits %08b are never 1, %08b never 0", whose, i, ^b.ones[i], ^b.zeros[i])
		}
	}
}

// TestBar_ID8_NothingPrintsSecrets prints every exported type in every way.
// Of SECURITY-BAR: ID-8.
func TestBar_ID8_NothingPrintsSecrets(t *testing.T) {
	const value, password = "canary-value", "canary-password"
	store := barStore(t)
	cfg := session.Config{Store: store, SavePath: ""}
	m := barManager(t, cfg)
	_, token := barRequest(m, "", func(s *session.Session) { s.Set("k", value); s.SetUser("ann") })
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
	barRequest(m, token, func(s *session.Session) {
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
	for what, secret := range map[string]string{
		"the token": token, "the secret": fmt.Sprintf("%x", raw[16:]), "the secret's bytes": string(raw[16:]),
		"a value": value, "a value in hex": fmt.Sprintf("%x", value), "a password": password,
	} {
		if strings.Contains(printed.String(), secret) {
			t.Errorf("%s is printed:\n%s", what, printed.String())
		}
	}
}

// TestBar_DR1_StoreHasTheHashOnly: of the secret, the store has SHA-256.
// Of SECURITY-BAR: DR-1.
func TestBar_DR1_StoreHasTheHashOnly(t *testing.T) {
	store := barStore(t)
	m := barManager(t, session.Config{Store: store})
	_, token := barRequest(m, "", func(s *session.Session) { s.Set("a", 1) })
	raw := rawToken(t, token)
	rec, err := store.Load(t.Context(), idOf(t, token))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(rec.Data, raw[16:]) || bytes.Contains(rec.Data, []byte(token[22:])) {
		t.Error("the record has the secret")
	}
	if hash := sha256.Sum256(raw[16:]); !bytes.Contains(rec.Data, hash[:]) {
		t.Error("the record does not have SHA-256 of the secret")
	}
	stolen := append(raw[:16:16], bytes.Repeat([]byte{0}, 32)...)
	hash := sha256.Sum256(raw[16:])
	copy(stolen[16:], hash[:])
	barRequest(m, base64.RawURLEncoding.EncodeToString(stolen), func(s *session.Session) { // ID-9
		if !s.IsNew() {
			t.Error("the stored hash opens the session")
		}
	})
}

// TestBar_DR2_Sealed: a store that is not in this process has no readable
// value or key, and the same values never look the same.
// Of SECURITY-BAR: DR-2.
func TestBar_DR2_Sealed(t *testing.T) {
	store := barStore(t)
	m := barManager(t, session.Config{Store: backendtest.NewFault(store).Store()})
	value := strings.Repeat("canary", 30)
	_, token := barRequest(m, "", func(s *session.Session) { s.Set("canary-key", value) })
	load := func() []byte {
		rec, err := store.Load(context.Background(), idOf(t, token))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(rec.Data, []byte("canary")) {
			t.Fatal("the record is readable")
		}
		return rec.Data
	}
	label := func(s *session.Session) { s.SetLabel("the same") }
	barRequest(m, token, label)
	first := load()
	barRequest(m, token, label)
	second := load()
	const tag = 16
	body := func(data []byte) []byte { return data[len(data)-tag-len(value) : len(data)-tag] }
	if bytes.Equal(first, second) {
		t.Fatal("the second commit stored nothing")
	}
	if bytes.Equal(body(first), body(second)) {
		t.Error("the same values were sealed with the same nonce twice")
	}
}

// TestBar_RD16_CapAfterMerge: two requests that are each within MaxBytes do
// not make a session that is over it.
// Of SECURITY-BAR: RD-16.
func TestBar_RD16_CapAfterMerge(t *testing.T) {
	store := barStore(t)
	m := barManager(t, session.Config{Store: store, MaxBytes: 1000})
	_, token := barRequest(m, "", func(s *session.Session) { s.Set("a", 1) })
	res, _ := barRequest(m, token, func(s *session.Session) {
		s.Set("mine", strings.Repeat("x", 600))
		if res, _ := barRequest(m, token, func(s *session.Session) { s.Set("theirs", strings.Repeat("y", 600)) }); res.StatusCode != http.StatusOK {
			t.Errorf("the first to store: status %d", res.StatusCode)
		}
	})
	if res.StatusCode != http.StatusInternalServerError {
		t.Errorf("the second to store: status %d, want 500", res.StatusCode)
	}
	rec, err := store.Load(t.Context(), idOf(t, token))
	if err != nil || len(rec.Data) > 1200 {
		t.Errorf("the record has %d bytes (%v), want MaxBytes and a head", len(rec.Data), err)
	}
}

// TestBar_DS4_UnstorableIsAnError: what cannot be stored fails the request.
// Of SECURITY-BAR: DS-4.
func TestBar_DS4_UnstorableIsAnError(t *testing.T) {
	store := barStore(t)
	m := barManager(t, session.Config{Store: store})
	for name, value := range map[string]any{"func": func() {}, "chan": make(chan int), "map of funcs": map[string]any{"f": func() {}}} {
		res, token := barRequest(m, "", func(s *session.Session) {
			s.Set("good", 1)
			s.Set("bad", value)
			if s.Err() == nil {
				t.Errorf("%s: Err is nil after Set", name)
			}
		})
		if res.StatusCode != http.StatusInternalServerError || token != "" {
			t.Errorf("%s: status %d, cookie %v, want 500 and none", name, res.StatusCode, token != "")
		}
	}
	if n, err := store.Count(t.Context()); n != 0 || err != nil {
		t.Errorf("%d records (%v), want none", n, err)
	}
}

// TestBar_CK19_TwoManagers: two managers in one chain, with two cookie names,
// do not mix.
// Of SECURITY-BAR: CK-19.
func TestBar_CK19_TwoManagers(t *testing.T) {
	stores := []backend.Store{barStore(t), barStore(t)}
	outer := barManager(t, session.Config{Store: stores[0], Cookie: cookie.Options{Name: "outer"}})
	inner := barManager(t, session.Config{Store: stores[1], Cookie: cookie.Options{Name: "inner"}})
	var handle func(r *http.Request)
	chain := outer.Middleware(inner.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { handle(r) })))
	jar := map[string]string{}
	request := func(f func(r *http.Request)) {
		handle = f
		r, w := httptest.NewRequest("GET", "https://example.com/", nil), httptest.NewRecorder()
		for name, value := range jar {
			r.AddCookie(&http.Cookie{Name: name, Value: value})
		}
		chain.ServeHTTP(w, r)
		for _, c := range w.Result().Cookies() {
			jar[c.Name] = c.Value
		}
	}
	request(func(r *http.Request) {
		outer.FromContext(r).Set("who", "outer")
		inner.FromContext(r).Set("who", "inner")
	})
	if len(jar) != 2 || jar["outer"] == jar["inner"] {
		t.Fatalf("%d cookies, want two, of two sessions", len(jar))
	}
	request(func(r *http.Request) {
		for name, s := range map[string]*session.Session{"outer": outer.FromContext(r), "inner": inner.FromContext(r)} {
			if got := s.Get("who"); got != name {
				t.Errorf("the session of %s has %v", name, got)
			}
		}
		if got := session.FromContext(r).Get("who"); got != "inner" {
			t.Errorf("FromContext is the session of %v, want the innermost", got)
		}
	})
}

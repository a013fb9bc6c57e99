package behaviour

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
)

// recordCases are about what the store holds, and what of it is believed.
var recordCases = []behaviour{
	each("a damaged record is a new session", damaged),
	each("a ciphertext in another record is refused", ciphertextMoved),
	once("the store has only the hash of the secret", hashOnly),
	once("values are sealed", sealed),
	each("without seals, who writes to the store is found out", tampered),
	each("a dump holds no token and no value", dumped),
}

// damaged plants records that are no sessions any more under a live token. The
// store is treated as one outside of the process, so all are sealed.
func damaged(t *testing.T, k Kind) {
	store := k.open(t)
	var rejected rejections
	a := newAppWith(t, session.Config{Store: store, On: rejected.on}, without(store, backendtest.InProcess))
	a.basics()
	b := a.browser(t)
	b.get("/set?k=a&v=value")
	token, good := b.token(), a.record(t, b.token())
	id := good.ID.String()

	check := func(t *testing.T, data []byte) {
		t.Helper()
		a.plant(t, backend.Record{ID: good.ID, Expires: good.Expires, Data: data})
		before, warnings := a.Stats().Unreadable, len(a.log.lines("WARN", id))
		b.setToken(token)
		got := b.get("/get?k=a")
		got.want(t, 200, "<nil>")
		got.wantNoCookie(t)
		if n := a.Stats().Unreadable - before; n != 1 {
			t.Errorf("%d counted as unreadable, want 1", n)
		}
		if n := len(a.log.lines("WARN", id)) - warnings; n != 1 {
			t.Errorf("%d log lines name the record, want 1", n)
		}
		rejected.want(t, id, session.ReasonUnreadable, 1)
		b.get("/set?k=a&v=again").want(t, 200, "set")
		if idOf(t, b.token()) == good.ID {
			t.Error("the new session has the ID of the damaged record")
		}
		b.get("/get?k=a").want(t, 200, "again") // not broken for ever
		rejected.what = nil
	}

	const hash, body = 2 + 32, 2 + 32 + 16 + 3 // where the hash and the head end
	random := rand.New(rand.NewPCG(17, 17))
	t.Run("truncated", func(t *testing.T) {
		for n := 0; n < len(good.Data); n += 1 + random.IntN(6) {
			check(t, good.Data[:n])
		}
		check(t, append(slices.Clone(good.Data), 0))
	})
	t.Run("corrupt", func(t *testing.T) { // the hash apart: that would be another secret
		for _, at := range []int{0, 1, hash, hash + 7, hash + 8, hash + 15, body - 3, body - 2, body - 1, body, body + 11, body + 12, len(good.Data) - 16, len(good.Data) - 1} {
			data := slices.Clone(good.Data)
			data[at] ^= 1 << random.IntN(8)
			check(t, data)
		}
	})
	t.Run("foreign", func(t *testing.T) {
		for _, text := range []string{"\x00", "{}", `{"user":"root"}`, `O:8:"stdClass":0:{}`, "\x80\x04\x95", strings.Repeat("x", 500), strings.Repeat("\x00", 100), strings.Repeat("\xff", 100)} {
			check(t, []byte(text))
		}
	})
	t.Run("future", func(t *testing.T) {
		for _, version := range []byte{0, 2, 3, 255} {
			data := slices.Clone(good.Data)
			data[0] = version
			check(t, data)
		}
		data := slices.Clone(good.Data)
		data[1] |= 0x80 // a flag of the future
		check(t, data)
	})
	t.Run("the store says so", func(t *testing.T) {
		a.calls.On(backendtest.OpLoad, 2, backendtest.Fail(fmt.Errorf("the row is torn: %w", backend.ErrCorrupt)))
		check(t, good.Data)
	})
	t.Run("whole again", func(t *testing.T) {
		a.plant(t, good)
		b.setToken(token)
		b.get("/get?k=a").want(t, 200, "value")
	})
}

// ciphertextMoved is what somebody can try who can write to the store.
func ciphertextMoved(t *testing.T, k Kind) {
	store := k.open(t)
	a := newAppWith(t, session.Config{Store: store}, without(store, backendtest.InProcess))
	a.basics()
	a.handle("/login", func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
		s.Set("who", r.FormValue("user"))
		s.SetUser(r.FormValue("user"))
	})
	alice, mallory := a.browser(t), a.browser(t)
	alice.get("/login?user=alice")
	mallory.get("/login?user=mallory")
	rich, own := a.record(t, alice.token()), a.record(t, mallory.token())
	head := func(rec backend.Record) []byte { return rec.Data[:2+32+16+3] }
	values := func(rec backend.Record) []byte { return rec.Data[2+32+16+3:] }
	longer := slices.Clone(own.Data)
	longer[2+32+16] = 127 // an idle timeout of its own
	unsealed := slices.Clone(head(own))
	unsealed[1] &^= 1
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := base64.RawURLEncoding.DecodeString(mallory.token())
	copied := base64.RawURLEncoding.EncodeToString(append(id[:], raw[16:]...)) // the own secret under another ID
	if err := store.Create(context.Background(), backend.Record{ID: id, Expires: own.Expires, User: "mallory", Data: own.Data}); err != nil {
		t.Fatal(err)
	}
	tries := []struct {
		what  string
		rec   backend.Record
		token string
	}{
		{"alice's whole data", backend.Record{User: "alice", Data: rich.Data}, mallory.token()},
		{"alice's values under the own head", backend.Record{User: "mallory", Data: slices.Concat(head(own), values(rich))}, mallory.token()},
		{"the own data with alice's name", backend.Record{User: "alice", Data: own.Data}, mallory.token()},
		{"the own data without a name", backend.Record{User: "", Data: own.Data}, mallory.token()},
		{"longer timeouts", backend.Record{User: "mallory", Data: longer}, mallory.token()},
		{"not sealed at all", backend.Record{User: "mallory", Data: slices.Concat(unsealed, []byte("\x01\x01\x0a\x03who\x10alice"))}, mallory.token()},
		{"the own data under another ID", backend.Record{ID: id, User: "mallory", Data: own.Data}, copied},
	}
	for _, try := range tries {
		if try.rec.ID == uuid.Nil {
			try.rec.ID = own.ID
		}
		try.rec.Expires = own.Expires
		a.plant(t, try.rec)
		b := a.browser(t)
		b.setToken(try.token)
		got := b.get("/get?k=who")
		if got.status != 200 || got.body != "<nil>" {
			t.Errorf("%s: %d %q, want 200 <nil>", try.what, got.status, got.body)
		}
		got.wantNoCookie(t)
	}
	a.plant(t, own)
	mallory.get("/get?k=who").want(t, 200, "mallory")
	alice.get("/get?k=who").want(t, 200, "alice")
}

// hashOnly: of the secret, the store has SHA-256.
func hashOnly(t *testing.T) {
	store := newMemory(t)
	m := newManager(t, session.Config{Store: store})
	_, token := visit(m, "", func(s *session.Session) { s.Set("a", 1) })
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
	visit(m, base64.RawURLEncoding.EncodeToString(stolen), func(s *session.Session) {
		if !s.IsNew() {
			t.Error("the stored hash opens the session")
		}
	})
}

// sealed: a store that is not in this process has no readable
// value or key, and the same values never look the same.
func sealed(t *testing.T) {
	store := newMemory(t)
	m := newManager(t, session.Config{Store: backendtest.NewFault(store).Store()})
	value := strings.Repeat("canary", 30)
	_, token := visit(m, "", func(s *session.Session) { s.Set("canary-key", value) })
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
	visit(m, token, label)
	first := load()
	visit(m, token, label)
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

// tampered: where values are readable, whoever can write
// the store can still not be somebody else, or change what a session says.
func tampered(t *testing.T, k Kind) {
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

// dumped reads what is at rest after a thousand logins: no token is in it, in
// any spelling, and nothing of what was Set.
func dumped(t *testing.T, k Kind) {
	if k.Dump == nil {
		return // nothing is at rest
	}
	savePath := k.Fresh(t)
	m := newManager(t, session.Config{Provider: k.Name, SavePath: savePath})
	const logins = 1000
	var secrets [][]byte
	for i := range logins {
		_, token := visit(m, "", func(s *session.Session) {
			s.SetUser(fmt.Sprintf("user-%d", i))
			s.Set("passphrase", fmt.Sprintf("open-sesame-%d", i))
		})
		raw := rawToken(t, token)
		secrets = append(secrets, []byte(token[22:]), raw[16:], []byte(hex.EncodeToString(raw[16:])))
	}
	all := k.Dump(t, savePath)
	if n := bytes.Count(all, []byte("user-")); n < logins {
		t.Fatalf("the dump of %d bytes names %d users: it is not the whole store", len(all), n)
	}
	for _, readable := range []string{"open-sesame", "passphrase"} {
		if bytes.Contains(all, []byte(readable)) {
			t.Errorf("the dump has %q in the clear", readable)
		}
	}
	for i, secret := range secrets {
		if bytes.Contains(all, secret) {
			t.Fatalf("the dump has the secret of login %d", i/3)
		}
	}
}

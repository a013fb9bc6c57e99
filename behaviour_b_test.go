package session_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
)

// TestBehaviourB is section B of BEHAVIOURS.md: hostile and stale tokens.
func TestBehaviourB(t *testing.T) {
	onEach(t, "12_unknown_token_written", unknownWritten) // FX-1
	onEach(t, "13_unknown_token_read", unknownRead)       // FX-7
	onEach(t, "14_malformed_token", malformed)            // ID-4, FB-1
	onEach(t, "15_secret_changed", secretChanged)         // ID-10, FX-1
	onEach(t, "16_expired", expired)                      // FX-2, TO-1
	onEach(t, "17_damaged_record", damaged)               // DS-1, DS-3
	onEach(t, "18_ciphertext_moved", ciphertextMoved)     // DR-2, DR-4
	onEach(t, "19_two_cookies", twoCookies)               // CK-13
	onEach(t, "20_collision_at_create", collision)        // ID-3
	onEach(t, "21_huge_cookie_header", hugeHeader)        // CK-13, CK-16
}

func unknownWritten(t *testing.T, k kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.basics()
	b := a.browser(t)
	sent := unknownToken()
	b.setToken(sent)
	b.get("/set?k=a&v=mine").want(t, 200, "set")
	a.wantCalls(t, "Load Create")
	if idOf(t, b.token()) == idOf(t, sent) || b.token()[22:] == sent[22:] {
		t.Error("the new session has something of the token that was sent")
	}
	if _, err := a.store.Load(context.Background(), idOf(t, sent)); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("Load of the ID that was sent: %v, want ErrNotFound", err)
	}
	a.wantRecords(t, 1)
	b.get("/get?k=a").want(t, 200, "mine")
}

func unknownRead(t *testing.T, k kind) {
	var rejected rejections
	a := newApp(t, session.Config{Store: k.open(t), Hooks: session.Hooks{Rejected: rejected.add}})
	a.basics()
	b := a.browser(t)
	sent := unknownToken()
	b.setToken(sent)
	b.get("/get?k=a").want(t, 200, "<nil>")
	got := b.get("/ignore")
	got.want(t, 200, "ignored")
	got.wantNoCookie(t)
	if b.token() != sent {
		t.Error("the cookie was changed by who only read")
	}
	if b.get("/destroy"); b.token() != "" { // it was nobody's when the request came
		t.Error("Destroy left a dead cookie in the browser")
	}
	a.wantCalls(t, "Load Load Load")
	a.wantRecords(t, 0)
	rejected.want(t, idOf(t, sent).String(), session.ReasonUnknown, 3)
}

// rejections are what Hooks.Rejected was told.
type rejections struct {
	mu   sync.Mutex
	what []string
}

func (r *rejections) add(id string, reason session.Reason) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.what = append(r.what, id+" "+string(reason))
}

// want fails the test unless id was rejected n times for reason, and nothing
// else was; it forgets what there was.
func (r *rejections) want(t testing.TB, id string, reason session.Reason, n int) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	want := slices.Repeat([]string{id + " " + string(reason)}, n)
	if !slices.Equal(r.what, want) {
		t.Errorf("rejected %q, want %q", r.what, want)
	}
	r.what = nil
}

// malformedTokens returns n values that are no tokens, most of them near to a
// real one.
func malformedTokens(real string, n int) []string {
	r := rand.New(rand.NewPCG(14, 14))
	bad := []string{
		"", " ", ".", "..", "../../../etc/passwd", strings.Repeat("../", 21) + "a", `"` + real + `"`, "'" + real + "'", "\"" + real[:62] + "\"",
		real + "=", real + "==", real[:63] + "=", real[:62] + "==", " " + real, "\t" + real, real + "\x00", real[:63] + "\x00", "\x00" + real[1:],
		real[:63], real + "A", real + real, real[:30] + "\n" + real[30:63], real[:30] + "\r\n" + real[30:62], real + "\n", real[:32] + "\r" + real[32:],
		strings.ReplaceAll(real, real[5:6], "%41"), strings.Repeat("A", 64), strings.Repeat("_", 64), strings.Repeat("-", 64), strings.Repeat("\x00", 64), strings.Repeat("\xff", 64),
		strings.Repeat("é", 32), strings.Repeat("A", 10<<10), strings.Repeat("\x00", 10<<10), idOfToken(real), "null", "undefined", "0", "-1", "true", "{}", "[]", `{"$gt":""}`,
		`' OR '1'='1`, "O:8:\"stdClass\":0:{}", "*", "session:*", "../" + real[:61], "..\\" + real[:61], "s:" + real, "s%3A" + real, base64.StdEncoding.EncodeToString([]byte(real)),
	}
	alien := []byte("+/=.,:;!@#$%^&*()[]{}<>?|\\`~'\" \t\n\r\x00\x01\x7f\x80\xff")
	for len(bad) < n {
		token := []byte(real)
		switch r.IntN(6) {
		case 0: // a character that is not in the alphabet
			token[r.IntN(64)] = alien[r.IntN(len(alien))]
		case 1: // another length, of characters that are
			length := r.IntN(200)
			token = bytes.Repeat(token, 4)[:length+length/64%2]
		case 2: // another version or variant than those of a UUIDv7
			raw, _ := base64.RawURLEncoding.DecodeString(real)
			if r.IntN(2) == 0 {
				raw[6] = raw[6]&0x0f | byte(r.IntN(16))<<4
			} else {
				raw[8] = raw[8]&0x3f | byte(r.IntN(4))<<6
			}
			token = []byte(base64.RawURLEncoding.EncodeToString(raw))
		case 3: // something put in or taken out
			at := r.IntN(63) + 1
			if r.IntN(2) == 0 {
				token = slices.Insert(token, at, alien[r.IntN(len(alien))])
			} else {
				token = slices.Delete(token, at-1, at)
			}
		case 4: // any bytes
			token = make([]byte, r.IntN(300))
			for i := range token {
				token[i] = byte(r.Uint32())
			}
		case 5: // any bytes, 64 of them
			token = make([]byte, 64)
			for i := range token {
				token[i] = byte(r.Uint32())
			}
		}
		if value := strings.TrimRight(string(token), " \t"); value != real && !wellFormed(value) && !strings.Contains(value, ";") {
			bad = append(bad, value)
		}
	}
	return bad
}

func idOfToken(token string) string {
	raw, _ := base64.RawURLEncoding.DecodeString(token)
	return uuid.UUID(raw[:16]).String()
}

// wellFormed is the rule: 64 characters of the URL-safe alphabet that begin
// with a UUIDv7.
func wellFormed(s string) bool {
	if len(s) != 64 || strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		return false
	}
	for _, c := range []byte(s) {
		if strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", c) < 0 {
			return false
		}
	}
	raw, err := base64.RawURLEncoding.DecodeString(s)
	return err == nil && raw[6]>>4 == 7 && raw[8]>>6 == 2
}

func malformed(t *testing.T, k kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.basics()
	b := a.browser(t)
	b.get("/set?k=secret&v=plan")
	a.calls.Reset()
	before := a.Stats()

	send := func(path, value string) answer {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "https://app.test"+path, nil)
		r.Header["Cookie"] = []string{a.name + "=" + value}
		a.router.ServeHTTP(w, r)
		return answer{status: w.Code, body: w.Body.String(), setCookie: w.Header()["Set-Cookie"]}
	}
	tokens := malformedTokens(b.token(), 10_000)
	for _, token := range tokens {
		if got := send("/get?k=secret", token); got.status != 200 || got.body != "<nil>" || len(got.setCookie) > 0 {
			t.Fatalf("a token of %q: %d %q, %d cookies; want 200 <nil> and none", token, got.status, got.body, len(got.setCookie))
		}
	}
	a.wantCalls(t, "")
	if after := a.Stats(); after != before {
		t.Errorf("Stats went from %+v to %+v", before, after)
	}
	a.wantRecords(t, 1)

	for _, token := range tokens[:50] { // it works as new
		if got := send("/set?k=a&v=b", token); got.status != 200 || len(got.setCookie) != 1 {
			t.Fatalf("a write with a token of %q: %d %q, %d cookies; want 200 and one", token, got.status, got.body, len(got.setCookie))
		}
	}
	a.wantCalls(t, strings.Repeat("Create ", 50))
	a.wantRecords(t, 51)
	b.get("/get?k=secret").want(t, 200, "plan")
}

// secretChanged tries each byte of the secret. That the comparison takes
// constant time is for the reader of credentials.matches to see.
func secretChanged(t *testing.T, k kind) {
	var rejected rejections
	a := newApp(t, session.Config{Store: k.open(t), Hooks: session.Hooks{Rejected: rejected.add}})
	a.basics()
	b := a.browser(t)
	b.get("/set?k=secret&v=plan")
	raw, _ := base64.RawURLEncoding.DecodeString(b.token())
	for i := 16; i < 48; i++ {
		forged := slices.Clone(raw)
		forged[i] ^= 1 << (i % 8)
		thief := a.browser(t)
		thief.setToken(base64.RawURLEncoding.EncodeToString(forged))
		a.calls.Reset()
		got := thief.get("/get?k=secret")
		got.want(t, 200, "<nil>")
		got.wantNoCookie(t)
		a.wantCalls(t, "Load")
		rejected.want(t, idOf(t, b.token()).String(), session.ReasonSecret, 1)
		if i%8 == 0 { // nor can it write, renew or destroy it
			records := a.records(t)
			thief.get("/destroy") // which takes the forged cookie away, and nothing else
			a.wantRecords(t, records)
			thief.setToken(base64.RawURLEncoding.EncodeToString(forged))
			thief.get("/set?k=secret&v=stolen").want(t, 200, "set")
			thief.get("/renew").want(t, 200, "renewed")
			if idOf(t, thief.token()) == idOf(t, b.token()) {
				t.Error("a write with a forged secret kept the ID")
			}
			rejected.what = nil
		}
	}
	b.get("/get?k=secret").want(t, 200, "plan")
}

func expired(t *testing.T, k kind) {
	for _, sweep := range []bool{false, true} {
		a := newApp(t, session.Config{Store: k.open(t), SweepEvery: -1})
		a.basics()
		b := a.browser(t)
		b.get("/set?k=old&v=secret")
		old := b.token()
		rec := a.record(t, old)
		rec.Expires = time.Now().Add(60 * time.Millisecond).Truncate(time.Millisecond)
		a.plant(t, rec)
		eventually(t, "the record has expired", func() bool {
			_, err := a.store.Load(context.Background(), rec.ID)
			return errors.Is(err, backend.ErrNotFound)
		})
		if time.Now().Before(rec.Expires) {
			t.Errorf("it ended %v early", time.Until(rec.Expires))
		}
		if sweep {
			if _, err := a.Sweep(context.Background()); err != nil {
				t.Errorf("Sweep: %v", err)
			}
		}
		got := b.get("/get?k=old")
		got.want(t, 200, "<nil>")
		got.wantNoCookie(t)
		b.get("/set?k=new&v=1").want(t, 200, "set")
		if idOf(t, b.token()) == idOf(t, old) {
			t.Error("the new session has the ID of the expired one")
		}
		b.get("/get?k=old").want(t, 200, "<nil>")
		b.get("/get?k=new").want(t, 200, "1")
	}
}

// eventually polls until ok, for at most 10 seconds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 10 seconds", what)
		}
	}
}

// damaged plants records that are no sessions any more under a live token. The
// store is treated as one outside of the process, so all are sealed.
func damaged(t *testing.T, k kind) {
	store := k.open(t)
	var rejected rejections
	a := newAppWith(t, session.Config{Store: store, Hooks: session.Hooks{Rejected: rejected.add}}, without(store, backendtest.InProcess))
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
func ciphertextMoved(t *testing.T, k kind) {
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

func twoCookies(t *testing.T, k kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.basics()
	one, two := a.browser(t), a.browser(t)
	one.get("/set?k=who&v=one")
	two.get("/set?k=who&v=two")
	one.get("/set?k=only&v=one")
	send := func(path string, tokens ...string) answer {
		t.Helper()
		b := a.browser(t)
		r := b.request("GET", path)
		for _, token := range tokens {
			r.AddCookie(&http.Cookie{Name: a.name, Value: token})
		}
		a.calls.Reset()
		return b.do(r)
	}
	send("/get?k=who", unknownToken(), two.token()).want(t, 200, "two")
	a.wantCalls(t, "Load Load")
	send("/get?k=who", "malformed", two.token()).want(t, 200, "two")
	a.wantCalls(t, "Load")
	send("/get?k=who", one.token(), two.token()).want(t, 200, "one")
	a.wantCalls(t, "Load")
	send("/get?k=who", two.token(), one.token()).want(t, 200, "two")
	send("/get?k=only", two.token(), one.token()).want(t, 200, "<nil>")
	send("/get?k=who", two.token(), two.token()).want(t, 200, "two")
	a.wantCalls(t, "Load")
	send("/set?k=written&v=1", unknownToken(), one.token(), two.token()).wantNoCookie(t)
	a.wantCalls(t, "Load Load Update")
	one.get("/get?k=written").want(t, 200, "1")
	two.get("/get?k=written").want(t, 200, "<nil>")

	// A dead session in front, with a secret that is not its own.
	forged := one.token()[:60] + unknownToken()[60:]
	send("/get?k=who", forged, two.token()).want(t, 200, "two")
	if a.Stats().Tossed == 0 {
		t.Error("requests with several tokens were not counted")
	}
}

func collision(t *testing.T, k kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.basics()
	// Somebody has the ID already: the store itself says so.
	var taken backend.Record
	a.calls.On(backendtest.OpCreate, 1, func(ctx context.Context, call backendtest.Call) error {
		taken = backend.Record{ID: call.ID, Expires: call.Record.Expires, User: "other", Data: []byte("somebody else's")}
		return a.store.Create(ctx, taken)
	})
	b := a.browser(t)
	b.get("/set?k=a&v=mine").want(t, 200, "set")
	a.wantCalls(t, "Create Create")
	if idOf(t, b.token()) == taken.ID {
		t.Error("the session has an ID that was taken")
	}
	if rec, err := a.store.Load(context.Background(), taken.ID); err != nil || string(rec.Data) != "somebody else's" || rec.User != "other" || rec.Version != 1 {
		t.Errorf("the record that had the ID is %d bytes, version %d, %v; want it as it was", len(rec.Data), rec.Version, err)
	}
	b.get("/get?k=a").want(t, 200, "mine")

	// A store that says so for ever is broken: the request ends.
	a.calls.Reset()
	a.calls.On(backendtest.OpCreate, backendtest.Always, backendtest.Fail(backend.ErrExists))
	got := a.browser(t).get("/set?k=a&v=b")
	got.want(t, 503, "Service Unavailable\n")
	got.wantNoCookie(t)
	if n := a.calls.Calls(backendtest.OpCreate); n < 2 || n > 5 {
		t.Errorf("Create was tried %d times, want a few", n)
	}
	a.calls.Reset()
	a.wantRecords(t, 2)
}

// hugeHeader sends what net/http lets through at most, a megabyte, and more
// than that past it.
func hugeHeader(t *testing.T, k kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.basics()
	b := a.browser(t)
	b.get("/set?k=a&v=value")
	send := func(cookies string) answer {
		t.Helper()
		a.calls.Reset()
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "https://app.test/get?k=a", nil)
		r.Header["Cookie"] = []string{cookies}
		start := time.Now()
		a.router.ServeHTTP(w, r)
		if took := time.Since(start); took > time.Second {
			t.Errorf("a request with %d bytes of cookies took %v", len(cookies), took)
		}
		return answer{status: w.Code, body: w.Body.String(), setCookie: w.Header()["Set-Cookie"]}
	}
	var unknown, others strings.Builder
	for range 1000 {
		unknown.WriteString(a.name + "=" + unknownToken() + "; ")
	}
	for others.Len() < 1<<20 {
		fmt.Fprintf(&others, "c%d=%s; ", others.Len(), strings.Repeat("v", 100))
	}
	live := a.name + "=" + b.token()

	send(unknown.String()+live).want(t, 200, "<nil>") // after four, it stops looking
	a.wantCalls(t, "Load Load Load Load")
	send(strings.Repeat(live+"; ", 1000)).want(t, 200, "value")
	a.wantCalls(t, "Load")
	send(others.String()+live).want(t, 200, "value")
	a.wantCalls(t, "Load")
	send(strings.Repeat(a.name+"=x; ", 1<<17)+live).want(t, 200, "value")
	a.wantCalls(t, "Load")
	send(strings.Repeat(";", 1<<20)+live).want(t, 200, "value")
	send(a.name+"="+strings.Repeat("A", 1<<20)).want(t, 200, "<nil>")
	a.wantCalls(t, "")

	// Looking through it takes no memory.
	r := httptest.NewRequest("GET", "/ignore", nil)
	r.Header["Cookie"] = []string{others.String() + strings.Repeat(a.name+"=x; ", 1000)}
	small := httptest.NewRequest("GET", "/ignore", nil)
	measure := func(r *http.Request) float64 {
		return testing.AllocsPerRun(20, func() { a.router.ServeHTTP(discard{}, r) })
	}
	if with, without := measure(r), measure(small); with > without+2 {
		t.Errorf("a megabyte of cookies costs %v allocations, none %v", with, without)
	}
}

// discard is a ResponseWriter that drops all.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}

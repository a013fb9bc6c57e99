package behaviour

import (
	"bytes"
	"context"
	cryptorand "crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/iotest"

	"github.com/google/uuid"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/memory"
)

// tokenCases are about hostile, stale and invented tokens.
var tokenCases = []behaviour{
	each("an unknown token is never adopted", unknownWritten),
	each("an unknown token that only reads stores nothing", unknownRead),
	each("a malformed token reaches no store", malformed),
	each("a changed secret opens nothing", secretChanged),
	each("a token has one spelling", oneSpelling),
	each("only the cookie carries the token", cookieAlone),
	each("the token of an ended session is never adopted again", neverAgain),
	once("all 256 bits of a secret are random", secretBits),
	onceAlone("a token comes from crypto rand and the time alone", fromCryptoRand),
	once("without randomness the program ends", noFallback),
}

func unknownWritten(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.basics()
	b := a.browser(t)
	sent := UnknownToken()
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

func unknownRead(t *testing.T, k Kind) {
	var rejected rejections
	a := newApp(t, session.Config{Store: k.open(t), On: rejected.on})
	a.basics()
	b := a.browser(t)
	sent := UnknownToken()
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
		switch kind := r.IntN(6); {
		case kind == 0: // a character that is not in the alphabet
			token[r.IntN(64)] = alien[r.IntN(len(alien))]
		case kind == 1: // another length, of characters that are
			length := r.IntN(200)
			token = bytes.Repeat(token, 4)[:length+length/64%2]
		case kind == 2: // another version or variant than those of a UUIDv7
			raw, _ := base64.RawURLEncoding.DecodeString(real)
			if r.IntN(2) == 0 {
				raw[6] = raw[6]&0x0f | byte(r.IntN(16))<<4
			} else {
				raw[8] = raw[8]&0x3f | byte(r.IntN(4))<<6
			}
			token = []byte(base64.RawURLEncoding.EncodeToString(raw))
		case kind == 3: // something put in or taken out
			at := r.IntN(63) + 1
			if r.IntN(2) == 0 {
				token = slices.Insert(token, at, alien[r.IntN(len(alien))])
			} else {
				token = slices.Delete(token, at-1, at)
			}
		case kind == 4: // any bytes
			token = make([]byte, r.IntN(300))
			for i := range token {
				token[i] = byte(r.Uint32())
			}
		case kind == 5: // any bytes, 64 of them
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

func malformed(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.basics()
	b := a.browser(t)
	b.get("/set?k=secret&v=plan")
	a.calls.Reset()
	before := a.Stats()

	send := func(path, value string) response {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "https://app.test"+path, nil)
		r.Header["Cookie"] = []string{a.name + "=" + value}
		a.router.ServeHTTP(w, r)
		return response{status: w.Code, body: w.Body.String(), setCookie: w.Header()["Set-Cookie"]}
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
func secretChanged(t *testing.T, k Kind) {
	var rejected rejections
	a := newApp(t, session.Config{Store: k.open(t), On: rejected.on})
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

// oneSpelling: a token in which the case of one letter is another
// is another token, whatever the store's collation.
func oneSpelling(t *testing.T, k Kind) {
	m := newManager(t, session.Config{Store: k.open(t)})
	_, token := visit(m, "", setOne)
	for i := range token {
		other := []byte(token)
		if other[i] ^= 0x20; strings.IndexByte("abcdefghijklmnopqrstuvwxyz", other[i]|0x20) < 0 {
			continue
		}
		visit(m, string(other), func(s *session.Session) {
			if !s.IsNew() || s.Has("a") {
				t.Errorf("character %d in the other case: it opens the session", i)
			}
		})
	}
	for _, other := range []string{" " + token, token + "=", `"` + token + `"`, "%" + hex.EncodeToString([]byte(token[:1])) + token[1:]} {
		serve(m, http.Header{"Cookie": {"beegosessionID=" + other}}, func(s *session.Session) {
			if !s.IsNew() {
				t.Errorf("the spelling %q opens the session", strings.Replace(other, token, "TOKEN", 1))
			}
		})
	}
}

// cookieAlone: a token in the query, the form, the path or another
// header opens nothing, and none is written into a URL or a body.
func cookieAlone(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.basics()
	a.handle("/redirect", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		s.Renew()
		http.Redirect(w, r, "/get?k=a", http.StatusSeeOther)
	})
	b := a.browser(t)
	b.get("/set?k=a&v=secret")
	token := b.token()
	visitor := a.browser(t)
	form := url.Values{a.name: {token}, "session": {token}, "token": {token}, "k": {"a"}}
	post, err := http.NewRequest("POST", visitor.base.String()+"/get", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	post.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	headers := visitor.request("GET", "/get?k=a")
	for _, name := range []string{a.name, "X-Session-Token", "X-Session-Id", "X-Auth-Token", "Session", "Cookie2"} {
		headers.Header.Set(name, token)
	}
	headers.Header.Set("Authorization", "Bearer "+token)
	for what, r := range map[string]*http.Request{
		"the query": visitor.request("GET", "/get?"+form.Encode()), "a form": post, "headers": headers,
		"the path": visitor.request("GET", "/get;"+a.name+"="+token+"?k=a"), "the fragment": visitor.request("GET", "/get?k=a#"+a.name+"="+token),
	} {
		a.calls.Reset()
		r.Header.Set("Cookie", "other=1") // so that cookies are looked for
		if got := visitor.do(r); strings.Contains(got.body, "secret") || got.session != "" {
			t.Errorf("a token in %s: %d %q, a cookie: %v", what, got.status, got.body, got.session != "")
		}
		a.wantCalls(t, "")
	}
	got := b.get("/redirect")
	got.header.Del("Set-Cookie")
	for _, token := range []string{token[22:], b.token()[22:]} {
		if strings.Contains(fmt.Sprint(got.header)+got.body, token) {
			t.Error("the response has a token outside of its cookie")
		}
	}
}

// neverAgain: a token that was good once and whose session has
// ended is never adopted again: a write with it makes another ID and secret.
func neverAgain(t *testing.T, k Kind) {
	store := k.open(t)
	a := newStage(t, session.Config{Store: store, SweepEvery: -1}, endDeeds)
	all := map[string]event{
		"removed behind our back, as by an eviction": func(t *testing.T, _ *app, b *browser) {
			check(t, store.Delete(t.Context(), mustID(b.id())))
		},
		"expired and swept": func(t *testing.T, a *app, b *browser) {
			id := b.id()
			b.get("/idle").want200(t)
			a.gone(t, id)
			if _, err := a.Sweep(t.Context()); err != nil {
				t.Error(err)
			}
		},
	}
	for name, end := range ends {
		all[name] = end
	}
	for name, end := range all {
		b := a.browser(t)
		b.get("/login").want200(t)
		b.get("/set").want200(t)
		old, token := b.twin(), b.token()
		end(t, a, b)
		old.wantState("none")
		old.get("/start").want200(t)
		old.wantState(`"" a=1 cart=tea`)
		if now := old.token(); idOf(t, now) == idOf(t, token) || now[22:] == token[22:] {
			t.Errorf("%s: the new session has the old ID or secret", name)
		}
		old.get("/logout").want200(t)
	}
	t.Run("evicted by memory", func(t *testing.T) {
		store, err := memory.New(memory.Options{MaxSessions: 1})
		if err != nil {
			t.Fatal(err)
		}
		a := newStage(t, session.Config{Store: store}, nil)
		b := a.browser(t)
		b.get("/start").want200(t)
		token := b.token()
		a.browser(t).get("/start").want200(t)
		if store.Evicted() != 1 {
			t.Fatalf("%d were evicted, want 1", store.Evicted())
		}
		b.wantState("none")
		b.get("/start").want200(t)
		if idOf(t, b.token()) == idOf(t, token) {
			t.Error("the new session has the ID of the evicted one")
		}
	})
}

// secretBits: all 256 bits of a secret take both values, in new
// sessions and in renewed ones.
func secretBits(t *testing.T) {
	m := newManager(t, session.Config{})
	var created, renewed bitsSeen
	for range 64 {
		_, first := visit(m, "", func(s *session.Session) { s.Set("a", 1) })
		created.see(rawToken(t, first)[16:])
		_, second := visit(m, first, (*session.Session).Renew)
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

// fromCryptoRand: a token is the bytes of crypto/rand and the time,
// and of nothing else: the same randomness makes the same token.
func fromCryptoRand(t *testing.T) {
	tokens := func(seed uint64) []byte {
		m := newManager(t, session.Config{}) // a store of its own: the same ID would be taken
		cryptotest.SetGlobalRandom(t, seed)
		_, first := visit(m, "", setOne)
		_, second := visit(m, first, (*session.Session).Renew)
		return bytes.Join([][]byte{rawToken(t, first)[6:], rawToken(t, second)[6:]}, nil)
	}
	one, again, other := tokens(1), tokens(1), tokens(2)
	if !bytes.Equal(one, again) {
		t.Error("the same random bytes make another token: something else is in it")
	}
	if bytes.Equal(one[:10], other[:10]) || bytes.Equal(one[10:42], other[10:42]) || bytes.Equal(one[52:], other[52:]) {
		t.Error("other random bytes make the same ID or secret")
	}
	if bytes.Equal(one[10:42], one[52:]) {
		t.Error("a renewed secret is the old one")
	}
}

const envNoRandom = "SESSION_TEST_NO_RANDOM"

// noFallback: without randomness the program ends before there is
// a cookie. It runs itself as another process, to see it end.
func noFallback(t *testing.T) {
	if broken := os.Getenv(envNoRandom); broken != "" {
		m := newManager(t, session.Config{})
		if broken == "yes" {
			cryptorand.Reader = iotest.ErrReader(errors.New("no randomness"))
		}
		res, _ := visit(m, "", setOne)
		fmt.Println("answered, cookies:", len(res.Cookies()))
		return
	}
	for broken, want := range map[string]bool{"yes": false, "no": true} {
		cmd := exec.Command(os.Args[0], "-test.run=^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$")
		cmd.Env = append(os.Environ(), envNoRandom+"="+broken)
		out, err := cmd.CombinedOutput()
		if answered := strings.Contains(string(out), "answered, cookies: 1"); answered != want || (err == nil) != want {
			t.Errorf("randomness broken: %s; the process answered: %v, want %v (%v)\n%s", broken, answered, want, err, out)
		}
	}
}

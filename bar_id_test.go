package session_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/iotest"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/backendtest"
)

// Section A of SECURITY-BAR: the identifier.

func setOne(s *session.Session) { s.Set("a", 1) }

// TestBar_ID1_FromCryptoRand: a token is the bytes of crypto/rand and the time,
// and of nothing else: the same randomness makes the same token.
// Of SECURITY-BAR: ID-1.
func TestBar_ID1_FromCryptoRand(t *testing.T) {
	tokens := func(seed uint64) []byte {
		m := barManager(t, session.Config{}) // a store of its own: the same ID would be taken
		cryptotest.SetGlobalRandom(t, seed)
		_, first := barRequest(m, "", setOne)
		_, second := barRequest(m, first, (*session.Session).Renew)
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

// TestBar_ID2_NoFallback: without randomness the program ends before there is
// a cookie. It runs itself as another process, to see it end.
// Of SECURITY-BAR: ID-2.
func TestBar_ID2_NoFallback(t *testing.T) {
	if broken := os.Getenv(envNoRandom); broken != "" {
		m := barManager(t, session.Config{})
		if broken == "yes" {
			rand.Reader = iotest.ErrReader(errors.New("no randomness"))
		}
		res, _ := barRequest(m, "", setOne)
		fmt.Println("answered, cookies:", len(res.Cookies()))
		return
	}
	for broken, want := range map[string]bool{"yes": false, "no": true} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestBar_ID2_NoFallback$")
		cmd.Env = append(os.Environ(), envNoRandom+"="+broken)
		out, err := cmd.CombinedOutput()
		if answered := strings.Contains(string(out), "answered, cookies: 1"); answered != want || (err == nil) != want {
			t.Errorf("randomness broken: %s; the process answered: %v, want %v (%v)\n%s", broken, answered, want, err, out)
		}
	}
}

// TestBar_ID2_NoMathRand lists who uses math/rand, and for what: nobody for
// tokens.
// Of SECURITY-BAR: ID-2.
func TestBar_ID2_NoMathRand(t *testing.T) {
	allowed := map[string]string{
		"internal/record/head.go": "commit IDs, which are readable and open nothing",
		"update.go":               "the pause before a retry", "gc/gc.go": "the collector's jitter",
		"backend/mysql/call.go": "the pause before a retry", "backend/postgres/call.go": "the pause before a retry",
		"backend/sqlite/call.go": "the pause before a retry", "backend/file/shard.go": "the pause before a lock is tried again",
	}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			top, _, _ := strings.Cut(path, "/")
			if strings.HasPrefix(d.Name(), ".") && path != "." || !strings.Contains(" . backend cookie gc flash conf internal ", " "+top+" ") || d.Name() == "backendtest" || d.Name() == "testserver" {
				return fs.SkipDir
			}
			return nil
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			if strings.HasPrefix(spec.Path.Value, `"math/rand`) && allowed[path] == "" {
				t.Errorf("%s imports %s", path, spec.Path.Value)
			}
			if path == "internal/record/token.go" && spec.Path.Value == `"crypto/rand"` {
				allowed["seen"] = "crypto/rand"
			}
		}
		return nil
	})
	if err != nil || allowed["seen"] == "" {
		t.Errorf("internal/record/token.go does not import crypto/rand, or is not there: %v", err)
	}
}

// TestBar_ID5_CookieAlone: a token in the query, the form, the path or another
// header opens nothing, and none is written into a URL or a body.
// Of SECURITY-BAR: ID-5.
func TestBar_ID5_CookieAlone(t *testing.T) {
	forEachKind(t, func(t *testing.T, k kind) {
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
				t.Error("the answer has a token outside of its cookie")
			}
		}
	})
}

// TestBar_ID11_OneSpelling: a token in which the case of one letter is another
// is another token, whatever the store's collation.
// Of SECURITY-BAR: ID-11.
func TestBar_ID11_OneSpelling(t *testing.T) {
	forEachKind(t, func(t *testing.T, k kind) {
		m := barManager(t, session.Config{Store: k.open(t)})
		_, token := barRequest(m, "", setOne)
		for i := range token {
			other := []byte(token)
			if other[i] ^= 0x20; strings.IndexByte("abcdefghijklmnopqrstuvwxyz", other[i]|0x20) < 0 {
				continue
			}
			barRequest(m, string(other), func(s *session.Session) {
				if !s.IsNew() || s.Has("a") {
					t.Errorf("character %d in the other case: it opens the session", i)
				}
			})
		}
		for _, other := range []string{" " + token, token + "=", `"` + token + `"`, "%" + hex.EncodeToString([]byte(token[:1])) + token[1:]} {
			through(m, http.Header{"Cookie": {"beegosessionID=" + other}}, func(s *session.Session) {
				if !s.IsNew() {
					t.Errorf("the spelling %q opens the session", strings.Replace(other, token, "TOKEN", 1))
				}
			})
		}
	})
}

// TestBar_ID7_DR6_NothingInErrors: every store call fails, and no error, log
// line, hook or panic has a token or a value in it (ID-7, DR-6).
func TestBar_ID7_DR6_NothingInErrors(t *testing.T) {
	const canary = "canary-value"
	forEachKind(t, func(t *testing.T, k kind) {
		book := &logBook{}
		var said bytes.Buffer
		hooks := session.Hooks{Failed: func(id string, err error) { fmt.Fprintln(&said, id, err) },
			Rejected: func(id string, r session.Reason) { fmt.Fprintln(&said, id, r) }}
		store := k.open(t)
		fault := backendtest.NewFault(store)
		m := barManager(t, session.Config{Store: fault.Store(), Logger: book.logger(), Hooks: hooks, MaxBytes: 2000})
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
				_, token := barRequest(m, "", func(s *session.Session) { s.Set("k", canary+"1") })
				secrets = append(secrets, token[22:], string(rawToken(t, token)[16:]), hex.EncodeToString(rawToken(t, token)[16:]))
				calls := 0
				fault.Before = func(_ context.Context, call backendtest.Call) error {
					if calls++; calls >= n {
						return fmt.Errorf("%s of %v failed", call.Op, call.ID)
					}
					return nil
				}
				res, _ := barRequest(m, token, func(s *session.Session) {
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
	})
}

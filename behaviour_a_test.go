package session_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/chisession/session"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/cookie"
)

// TestBehaviourA is section A of BEHAVIOURS.md: creating and loading.
func TestBehaviourA(t *testing.T) {
	onEach(t, "01_no_cookie_session_ignored", ignored) // HB-18
	onEach(t, "02_no_cookie_session_read", onlyRead)   // LO-6
	onEach(t, "03_no_cookie_session_set", setWithoutCookie)
	onEach(t, "04_next_request_has_it", nextRequest)
	onEach(t, "05_two_writers_two_sessions", twoWriters)
	onEach(t, "06_mounted_twice", mountedTwice) // CC-11
	onEach(t, "07_set_and_deleted_again", setAndDeleted)
	onEach(t, "08_equal_value_no_write", equalValue) // CC-3
	onEach(t, "09_unknown_looked_up_once", lookedUpOnce)
	onEach(t, "10_any_key", anyKey)
	onEach(t, "11_any_value", anyValue)
	onEach(t, "11_large_value", largeValue)       // RD-16
	onEach(t, "11_exact_types", exactTypes)       // ME-6, DS-7
	onEach(t, "11_rolling_deploy", rollingDeploy) // DS-5
}

func ignored(t *testing.T, k kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.basics()
	got := a.browser(t).get("/ignore")
	got.want(t, 200, "ignored")
	if len(got.setCookie) > 0 || got.header.Get("Vary") != "" {
		t.Errorf("Set-Cookie %q, Vary %q, want neither", got.setCookie, got.header.Get("Vary"))
	}
	a.wantCalls(t, "")
	a.wantRecords(t, 0)
}

func onlyRead(t *testing.T, k kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.handle("/", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		_, ok := session.Get[int](s, "x")
		lookup, found := session.Lookup(r.Context())
		if s.Get("x") != nil || ok || s.Has("x") || len(s.Keys()) != 0 || s.Len() != 0 || s.Pop("x") != nil {
			t.Error("an empty session has something in it")
		}
		if !s.IsNew() || s.User() != "" || s.Token() != "" || s.ID() == "" || !s.CreatedAt().IsZero() || !s.ExpiresAt().IsZero() || s.Unavailable() || s.Err() != nil {
			t.Error("an empty session says that it is a stored one")
		}
		if lookup != s || !found || session.FromCtx(r.Context()) != s || a.FromContext(r) != s {
			t.Error("the ways to the session lead to different ones")
		}
		s.Delete("x")
		s.Clear()
		if err := errors.Join(s.Save(), s.Reload(), s.Update(func(*session.Values) error { return nil })); err != nil {
			t.Errorf("Save, Reload, Update of nothing: %v", err)
		}
	})
	got := a.browser(t).get("/")
	got.want(t, 200, "")
	got.wantNoCookie(t)
	a.wantCalls(t, "")
	a.wantRecords(t, 0)
}

func setWithoutCookie(t *testing.T, k kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.handle("/", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.Set("a", 1)
		s.Set("b", "two")
		s.Set("a", 3)
		io.WriteString(w, "ok")
	})
	b := a.browser(t)
	got := b.get("/")
	got.want(t, 200, "ok")
	if want := cookie.DefaultName + "=" + b.token() + "; Path=/; HttpOnly; Secure; SameSite=Lax"; len(got.setCookie) != 1 || got.session != want {
		t.Errorf("Set-Cookie is not exactly the one line of the session with a token of %d characters", len(b.token()))
	}
	if len(b.token()) != 64 {
		t.Errorf("the token has %d characters, want 64", len(b.token()))
	}
	a.wantCalls(t, "Create")
	a.wantRecords(t, 1)
}

func nextRequest(t *testing.T, k kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.basics()
	b := a.browser(t)
	b.get("/set?k=colour&v=blue")
	id, token := b.get("/id").body, b.token()
	a.calls.Reset()
	got := b.get("/get?k=colour")
	got.want(t, 200, "blue")
	got.wantNoCookie(t)
	a.wantCalls(t, "Load")
	if again := b.get("/id").body; again != id || id != idOf(t, token).String() {
		t.Errorf("the ID is %s, then %s; the token's is %s", id, again, idOf(t, token))
	}
	a.wantRecords(t, 1)
	if s := a.Stats(); s.Creates != 1 || s.Hits != 3 || s.Loads != 3 {
		t.Errorf("Stats %+v, want 1 create and 3 hits in 3 loads", s)
	}
}

func twoWriters(t *testing.T, k kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.basics()
	one, two := a.browser(t), a.browser(t)
	one.get("/set?k=who&v=one")
	two.get("/set?k=who&v=two")
	if idOf(t, one.token()) == idOf(t, two.token()) || one.token()[22:] == two.token()[22:] {
		t.Error("two browsers have one session")
	}
	one.get("/get?k=who").want(t, 200, "one")
	two.get("/get?k=who").want(t, 200, "two")
	a.wantRecords(t, 2)
}

// mountedTwice also mounts another manager with a cookie of its own: that one
// is no twin.
func mountedTwice(t *testing.T, k kind) {
	store := k.open(t)
	a := newApp(t, session.Config{Store: store})
	twin := newApp(t, session.Config{Store: store})
	other := newApp(t, session.Config{Store: k.open(t), Cookie: cookie.Options{Name: "other"}})
	write := func(w http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r)
		n, _ := session.Get[int](s, "n")
		s.Set("n", n+1)
		fmt.Fprint(w, n)
	}
	a.router.With(a.Manager.Middleware, twin.Manager.Middleware).HandleFunc("/twice", write)
	a.router.With(other.Manager.Middleware).HandleFunc("/other", write)
	b := a.browser(t)
	b.get("/twice").want(t, 200, "0")
	a.wantCalls(t, "Create")
	b.get("/twice").want(t, 200, "1")
	a.wantCalls(t, "Create Load Update")
	twin.wantCalls(t, "")
	got := b.get("/other")
	got.want(t, 200, "0")
	if len(got.setCookie) != 1 || !strings.HasPrefix(got.setCookie[0], "other=") {
		t.Errorf("the other manager's session does not have exactly its own cookie")
	}
	b.get("/twice").want(t, 200, "2")
	b.get("/other").want(t, 200, "1")
	other.wantCalls(t, "Create Load Update")
}

func setAndDeleted(t *testing.T, k kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	ways := map[string]func(*session.Session){
		"Delete": func(s *session.Session) { s.Delete("a") },
		"Clear":  func(s *session.Session) { s.Clear() },
		"Pop":    func(s *session.Session) { s.Pop("a") },
		"Destroy": func(s *session.Session) {
			s.Destroy()
		},
		"Update": func(s *session.Session) {
			if err := s.Update(func(v *session.Values) error { v.Delete("a"); return nil }); err != nil {
				t.Error(err)
			}
		},
		"label only": func(s *session.Session) {
			s.Delete("a")
			s.SetLabel("Firefox, Lisbon")
			s.SetIdleTimeout(time.Minute)
			s.SetPersistent(true)
		},
	}
	a.handle("/", func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
		s.Set("a", 1)
		ways[r.FormValue("way")](s)
	})
	for way := range ways {
		got := a.browser(t).get("/?way=" + strings.ReplaceAll(way, " ", "+"))
		got.want(t, 200, "")
		got.wantNoCookie(t)
	}
	a.wantCalls(t, "")
	a.wantRecords(t, 0)
}

func equalValue(t *testing.T, k kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	values := map[string]any{"int": 7, "string": "x", "bytes": []byte{0, 1}, "nil": nil, "time": time.Unix(1, 5).UTC(),
		"struct": struct{ A, B int }{1, 2}, "map": map[string]int{"z": 1, "a": 2}, "float": math.Pi, "empty": ""}
	set := func(s *session.Session) {
		for key, v := range values {
			s.Set(key, v)
		}
	}
	a.handle("/set", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { set(s) })
	a.handle("/thereandback", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.Set("int", 8)
		s.Delete("string")
		s.Set("new", 1)
		s.Clear()
		set(s)
	})
	a.handle("/othertype", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.Set("int", int64(7)) })
	a.handle("/update", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		if _, err := session.Update(s, "int", func(n int) int { return n }); err != nil {
			t.Error(err)
		}
	})
	b := a.browser(t)
	b.get("/set")
	for _, path := range []string{"/set", "/thereandback", "/update"} {
		a.calls.Reset()
		b.get(path).wantNoCookie(t)
		a.wantCalls(t, "Load")
	}
	a.calls.Reset()
	b.get("/othertype") // an equal number of another type is another value
	a.wantCalls(t, "Load Update")
}

func lookedUpOnce(t *testing.T, k kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.handle("/", func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
		for range 20 {
			_, _, _, _ = s.Get("a"), s.Keys(), s.User(), session.FromContext(r).Has("b")
		}
		if r.FormValue("write") != "" {
			s.Set("a", 1)
			s.Set("b", 2)
		}
	})
	b := a.browser(t)
	b.setToken(unknownToken())
	b.get("/").wantNoCookie(t)
	a.wantCalls(t, "Load")
	a.calls.Reset()
	b.get("/?write=1")
	a.wantCalls(t, "Load Create")
	a.wantRecords(t, 1)
}

func anyKey(t *testing.T, k kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	keys := []string{"cookie", "_flash", "__proto__", "", "constructor", "id", "ID", "Id", "session", "user", "expires", " ", " id", "id ",
		"\x00", "\x00\x00", "\xff\xfe", "é", "e\u0301", "ключ", "日本", "a\nb", `"`, `'; DROP TABLE sessions; --`, "../../etc/passwd", "%00", strings.Repeat("k", 300)}
	a.handle("/set", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		for i, key := range keys {
			s.Set(key, i)
		}
	})
	a.handle("/get", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		for i, key := range keys {
			if got := s.Get(key); got != i {
				t.Errorf("Get(%q) = %v, want %d", key, got, i)
			}
		}
		if got := s.Len(); got != len(keys) || len(s.Keys()) != len(keys) {
			t.Errorf("Len %d, Keys %d, want %d", got, len(s.Keys()), len(keys))
		}
		for _, absent := range []string{"COOKIE", "iD", "_Flash", "\x00\x00\x00", "Cookie"} {
			if s.Has(absent) {
				t.Errorf("Has(%q), which was never set", absent)
			}
		}
	})
	b := a.browser(t)
	b.get("/set").want(t, 200, "")
	b.get("/get").want(t, 200, "")
}

func anyValue(t *testing.T, k kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	values := []string{"", "\x00", "a\x00b\x00", "\xff\xfe\xfd", "é\u2028\u2029😀", "<script>&'\"", "\xed\xa0\x80", "a\xe2\x28\xa1", "\ufffd", string(all), strings.Repeat("\x00", 4096)}
	a.handle("/set", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		for i, v := range values {
			s.Set(fmt.Sprint("s", i), v)
			s.Set(fmt.Sprint("b", i), []byte(v))
		}
	})
	a.handle("/get", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		for i, v := range values {
			if got := s.Get(fmt.Sprint("s", i)); got != v {
				t.Errorf("string %q came back as %q", v, got)
			}
			if got, ok := s.Get(fmt.Sprint("b", i)).([]byte); !ok || string(got) != v {
				t.Errorf("bytes %q came back as %q", v, got)
			}
		}
	})
	// JSON cannot keep what is not UTF-8: that is refused, not mangled.
	a.handle("/mangled", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.Set("bad", struct{ Name string }{"\xff"})
	})
	b := a.browser(t)
	b.get("/set").want(t, 200, "")
	b.get("/get").want(t, 200, "")
	b.get("/mangled").want(t, 500, "Internal Server Error\n")
	if len(a.log.lines("ERROR", `cannot store \"bad\" (type struct { Name string })`)) != 1 {
		t.Errorf("the log does not name key and type: %s", a.log)
	}
}

func largeValue(t *testing.T, k kind) {
	a := newApp(t, session.Config{Store: k.open(t), MaxBytes: 1<<20 + 100})
	random := rand.New(rand.NewPCG(1, 2))
	values := map[string][]byte{"64k": make([]byte, 64<<10), "1M": make([]byte, 1<<20), "2M": make([]byte, 2<<20)}
	for _, v := range values {
		for i := range v {
			v[i] = byte(random.Uint32())
		}
	}
	a.handle("/set", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		s.Set(r.FormValue("k"), values[r.FormValue("k")])
		fmt.Fprint(w, s.Err() != nil)
	})
	a.handle("/same", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		got, _ := s.Get(r.FormValue("k")).([]byte)
		fmt.Fprint(w, string(got) == string(values[r.FormValue("k")]))
	})
	for _, size := range []string{"64k", "1M"} {
		b := a.browser(t)
		b.get("/set?k="+size).want(t, 200, "false")
		b.get("/same?k="+size).want(t, 200, "true")
		b.get("/set?k=2M").want(t, 500, "Internal Server Error\n")
		b.get("/same?k="+size).want(t, 200, "true") // not half-stored
	}
	got := a.browser(t).get("/set?k=2M")
	got.want(t, 500, "Internal Server Error\n")
	got.wantNoCookie(t)
	a.wantRecords(t, 2)
	if n := len(a.log.lines("ERROR", `cannot store \"2M\" (type []uint8): session too large`)); n != 3 {
		t.Errorf("%d log lines name the key, the type and the cause, want 3:\n%s", n, a.log)
	}
}

// Kinds that are the application's own: one registered, one not.
type (
	registered struct {
		Name string
		N    int
	}
	unregistered struct{ Name string }
	role         string
)

func init() { session.Register(registered{}) }

// randomValues returns one value of every built-in kind, and of some others.
func randomValues(r *rand.Rand) map[string]any {
	text := make([]byte, r.IntN(200))
	for i := range text {
		text[i] = byte(r.Uint32())
	}
	n := r.Uint64() >> r.IntN(64)
	zone := time.FixedZone("", (r.IntN(27)-12)*3600+r.IntN(60)*60)
	return map[string]any{
		"nil": nil, "bool": n%2 == 0, "string": string(text), "[]byte": text,
		"int": int(n), "int8": int8(n), "int16": int16(n), "int32": int32(n), "int64": int64(n), "-int64": -int64(n),
		"uint": uint(n), "uint8": uint8(n), "uint16": uint16(n), "uint32": uint32(n), "uint64": n,
		"float32": float32(r.NormFloat64()), "float64": r.NormFloat64(), "inf": math.Inf(int(n%2)*2 - 1), "-0": math.Copysign(0, -1),
		"minint": math.MinInt, "maxuint": uint64(math.MaxUint64), "tiny": math.SmallestNonzeroFloat64,
		"duration": time.Duration(n), "time": time.Unix(int64(r.Uint32()), int64(r.IntN(1e9))).In(zone), "zerotime": time.Time{}.UTC(),
		"registered": registered{"é", int(r.Int32())},
	}
}

// exactTypes is a property test: what is Set comes back as it was, in its
// exact type, before and after the store was opened again.
func exactTypes(t *testing.T, k kind) {
	path := k.fresh(t)
	a := newApp(t, session.Config{Store: k.openAt(t, path)})
	seeds := []uint64{1, 2, 3, 4, 5, 6, 7, 8}
	tokens := map[uint64]string{}
	handlers := func(a *app) {
		a.handle("/set/{seed}", func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
			for key, v := range randomValues(seeded(r)) {
				s.Set(key, v)
				checkValue(t, s, key, v) // at once, from the encoded form
			}
			s.Set("nan", math.NaN())
			s.Set("role", role("admin"))
			s.Set("other", unregistered{"x"})
			s.Set("list", []int{1, 2})
		})
		a.handle("/check/{seed}", func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
			for key, v := range randomValues(seeded(r)) {
				checkValue(t, s, key, v)
			}
			if f, ok := s.Get("nan").(float64); !ok || !math.IsNaN(f) {
				t.Errorf("NaN came back as %v", s.Get("nan"))
			}
			got, ok := session.Get[role](s, "role")
			other, otherOK := session.Get[unregistered](s, "other")
			list, listOK := session.Get[[]int](s, "list")
			if got != "admin" || !ok || other.Name != "x" || !otherOK || !reflect.DeepEqual(list, []int{1, 2}) || !listOK {
				t.Errorf("Get[T]: %v %v, %v %v, %v %v", got, ok, other, otherOK, list, listOK)
			}
			if generic := s.Get("other"); !reflect.DeepEqual(generic, map[string]any{"Name": "x"}) {
				t.Errorf("Get of a type that is not registered = %#v, want the generic form", generic)
			}
			if _, ok := session.Get[int64](s, "int"); ok {
				t.Error("Get[int64] of an int says that it is one")
			}
		})
	}
	handlers(a)
	for _, seed := range seeds {
		b := a.browser(t)
		b.get(fmt.Sprint("/set/", seed)).want(t, 200, "")
		b.get(fmt.Sprint("/check/", seed)).want(t, 200, "")
		tokens[seed] = b.token()
	}
	again := a
	if k.lasts {
		if err := backend.AbilitiesOf(a.store).Closer.Close(); err != nil {
			t.Fatal(err)
		}
		again = newApp(t, session.Config{Store: k.openAt(t, path)})
		handlers(again)
	}
	for _, seed := range seeds {
		b := again.browser(t)
		b.setToken(tokens[seed])
		b.get(fmt.Sprint("/check/", seed)).want(t, 200, "")
	}
}

func seeded(r *http.Request) *rand.Rand {
	var seed uint64
	fmt.Sscan(r.PathValue("seed"), &seed)
	return rand.New(rand.NewPCG(seed, seed))
}

// checkValue compares value and type; of a time also the offset from UTC.
func checkValue(t *testing.T, s *session.Session, key string, want any) {
	t.Helper()
	got := s.Get(key)
	if w, ok := want.(time.Time); ok {
		g, ok := got.(time.Time)
		_, gotOffset := g.Zone()
		_, wantOffset := w.Zone()
		if !ok || !g.Equal(w) || gotOffset != wantOffset {
			t.Errorf("%s: Get = %v, want %v", key, got, want)
		}
		return
	}
	if reflect.TypeOf(got) != reflect.TypeOf(want) || !reflect.DeepEqual(got, want) {
		t.Errorf("%s: Get = %T %v, want %T %v", key, got, got, want, want)
	}
}

// rollingDeploy has a program read and write sessions in which a newer one
// keeps types and kinds that it does not know: they stay as they are. The
// record is changed behind its back to make them unknown.
func rollingDeploy(t *testing.T, k kind) {
	store := k.open(t)
	a := newAppWith(t, session.Config{Store: store}, backendtest.Capabilities(store)|backendtest.InProcess) // without seal and tag
	a.basics()
	a.handle("/new", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.Set("type", registered{"Ada", 1815})
		s.Set("kind", "of the future")
	})
	a.handle("/newer", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		fmt.Fprintf(w, "%#v %#v", s.Get("type"), s.Get("kind"))
	})
	b := a.browser(t)
	b.get("/new").want(t, 200, "")
	// A type of another name, and a kind that does not exist yet.
	swap := func(from, to string) {
		rec := a.record(t, b.token())
		data := string(rec.Data)
		if strings.Count(data, from) != 1 {
			t.Fatalf("the record has %q %d times", from, strings.Count(data, from))
		}
		rec.Data = []byte(strings.Replace(data, from, to, 1))
		a.plant(t, rec)
	}
	swap(".registered{", ".registerex{")
	swap("\x10of the future", "\xc8of the future")
	b.get("/newer").want(t, 200, `map[string]interface {}{"N":1815, "Name":"Ada"} <nil>`)
	b.get("/set?k=other&v=1").want(t, 200, "set")
	b.get("/renew").want(t, 200, "renewed")
	b.get("/get?k=other").want(t, 200, "1")
	swap(".registerex{", ".registered{")
	swap("\xc8of the future", "\x10of the future")
	b.get("/newer").want(t, 200, `session_test.registered{Name:"Ada", N:1815} "of the future"`)
	if a.Stats().Unreadable == 0 || len(a.log.lines("WARN", `"key":"kind"`)) == 0 {
		t.Error("a value that could not be decoded was neither counted nor logged")
	}
}

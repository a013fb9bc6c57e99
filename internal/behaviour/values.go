package behaviour

import (
	"bytes"
	"fmt"
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
)

// valuesCases are about what a handler keeps under its keys.
var valuesCases = []behaviour{
	each("any key", anyKey),
	each("any value comes back as it was", anyValue),
	each("a large value is stored or refused", largeValue),
	each("types come back exactly", exactTypes),
	each("values of an older and a newer program", rollingDeploy),
	each("nested values are copies", nestedValues),
	once("merged changes stay within MaxBytes", capAfterMerge),
	once("what cannot be stored is an error", unstorable),
	each("what was loaded does not change under the handler", loadedStays),
}

func anyKey(t *testing.T, k Kind) {
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

func anyValue(t *testing.T, k Kind) {
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

func largeValue(t *testing.T, k Kind) {
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
func exactTypes(t *testing.T, k Kind) {
	path := k.Fresh(t)
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
	if k.Lasts {
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
func rollingDeploy(t *testing.T, k Kind) {
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
	b.get("/newer").want(t, 200, `behaviour.registered{Name:"Ada", N:1815} "of the future"`)
	if a.Stats().Unreadable == 0 || len(a.log.lines("WARN", `"key":"kind"`)) == 0 {
		t.Error("a value that could not be decoded was neither counted nor logged")
	}
}

type nested struct {
	Maps  map[string]map[string]int
	Lists [][]string
}

// nestedValues: nested values come back equal, and as copies: what
// one request does to them, no other sees.
func nestedValues(t *testing.T, k Kind) {
	fresh := func() nested {
		return nested{map[string]map[string]int{"a": {"x": 1}, "b": {}}, [][]string{{"one", "two"}, {}}}
	}
	m := newManager(t, session.Config{Store: k.open(t)})
	mine := fresh()
	_, token := visit(m, "", func(s *session.Session) {
		s.Set("nested", mine)
		s.Set("map", mine.Maps)
		s.Set("bytes", []byte("abc"))
		mine.Maps["a"]["x"] = 99 // after Set, it has no effect
		mine.Lists[0][0] = "changed"
	})
	for range 3 {
		visit(m, token, func(s *session.Session) {
			got, ok := session.Get[nested](s, "nested")
			inner, okMap := session.Get[map[string]map[string]int](s, "map")
			raw, okRaw := s.Get("bytes").([]byte)
			if !ok || !okMap || !okRaw || !reflect.DeepEqual(got, fresh()) || !reflect.DeepEqual(inner, fresh().Maps) || string(raw) != "abc" {
				t.Fatalf("came back as %+v, %v, %q", got, inner, raw)
			}
			got.Maps["a"]["x"], got.Lists[0][0], inner["b"]["new"], raw[0] = 5, "mine", 6, 'X'
			if again, _ := session.Get[nested](s, "nested"); !reflect.DeepEqual(again, fresh()) {
				t.Errorf("a change of what Get returned is seen by the next Get: %+v", again)
			}
		})
	}
}

// capAfterMerge: two requests that are each within MaxBytes do
// not make a session that is over it.
func capAfterMerge(t *testing.T) {
	store := newMemory(t)
	m := newManager(t, session.Config{Store: store, MaxBytes: 1000})
	_, token := visit(m, "", func(s *session.Session) { s.Set("a", 1) })
	res, _ := visit(m, token, func(s *session.Session) {
		s.Set("mine", strings.Repeat("x", 600))
		if res, _ := visit(m, token, func(s *session.Session) { s.Set("theirs", strings.Repeat("y", 600)) }); res.StatusCode != http.StatusOK {
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

// unstorable: what cannot be stored fails the request.
func unstorable(t *testing.T) {
	store := newMemory(t)
	m := newManager(t, session.Config{Store: store})
	for name, value := range map[string]any{"func": func() {}, "chan": make(chan int), "map of funcs": map[string]any{"f": func() {}}} {
		res, token := visit(m, "", func(s *session.Session) {
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

// loadedStays: neither the caller, nor another request, nor the store
// changes what a request has loaded.
func loadedStays(t *testing.T, k Kind) {
	type seen struct{ first, second, third string }
	var got seen
	read := func(s *session.Session) string {
		raw, _ := session.Get[[]byte](s, "raw")
		text := string(raw)
		for i := range raw {
			raw[i] = 'X' // it is ours
		}
		return text
	}
	proceed, reached := make(chan struct{}), make(chan struct{})
	a := newStage(t, session.Config{Store: k.open(t)}, map[string]deed{
		"raw": func(s *session.Session) error { s.Set("raw", []byte("hello")); return nil },
		"other": func(s *session.Session) error {
			s.Set("raw", []byte("other"))
			s.Set("more", strings.Repeat("y", 5000))
			return nil
		},
		"read": func(s *session.Session) error {
			got.first = read(s)
			close(reached)
			<-proceed
			got.second = read(s)
			err := s.Reload()
			got.third = read(s)
			return err
		},
	})
	b := a.browser(t)
	b.get("/raw").want200(t)
	rec, err := a.store.Load(t.Context(), mustID(b.id()))
	if err != nil {
		t.Fatal(err)
	}
	data := bytes.Clone(rec.Data)
	result := b.send("/read")
	<-reached
	b.twin().get("/other").want200(t)
	close(proceed)
	(<-result).want200(t)
	if want := (seen{"hello", "hello", "other"}); got != want {
		t.Errorf("the handler read %+v, want %+v", got, want)
	}
	b.get("/logout").want200(t)
	if !bytes.Equal(rec.Data, data) {
		t.Error("the Data of a loaded record has changed")
	}
}

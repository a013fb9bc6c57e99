package gorilla_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gorilla/mux"

	"github.com/chisession/session"
	"github.com/chisession/session/cookie"
	"github.com/chisession/session/flash"
	"github.com/chisession/session/tests/frameworks/internal/suite"
)

// app has the suite's routes.
func app(step <-chan struct{}) *mux.Router {
	r := mux.NewRouter()
	r.HandleFunc("/set/{value}", func(w http.ResponseWriter, r *http.Request) {
		session.FromContext(r).Set("value", mux.Vars(r)["value"])
		fmt.Fprint(w, "noted")
	}).Methods("GET")
	r.HandleFunc("/get", func(w http.ResponseWriter, r *http.Request) {
		v, ok := session.Get[string](session.FromContext(r), "value")
		if !ok {
			v = "nothing"
		}
		fmt.Fprint(w, v)
	}).Methods("GET")
	r.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		session.FromContext(r).SetUser("ada")
		flash.Success(r, "Welcome.")
		http.Redirect(w, r, "/home", http.StatusSeeOther)
	}).Methods("POST")
	r.HandleFunc("/home", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, session.FromContext(r).User(), ":")
		for _, m := range flash.Take(r) {
			fmt.Fprint(w, m)
		}
	}).Methods("GET")
	r.HandleFunc("/logout", func(w http.ResponseWriter, r *http.Request) {
		session.FromContext(r).Destroy()
		http.Redirect(w, r, "/get", http.StatusSeeOther)
	}).Methods("POST")
	r.HandleFunc("/json", func(w http.ResponseWriter, r *http.Request) {
		session.FromContext(r).Set("value", "json")
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("ETag", `"1"`)
		w.WriteHeader(http.StatusCreated)
		json.NewEncoder(w).Encode(suite.Body)
	}).Methods("GET")
	r.HandleFunc("/empty", func(w http.ResponseWriter, r *http.Request) {
		session.FromContext(r).Set("value", "empty")
		w.WriteHeader(http.StatusNoContent)
	}).Methods("GET")
	r.HandleFunc("/refuse", func(w http.ResponseWriter, r *http.Request) {
		session.FromContext(r).Set("value", "refuse")
		http.Error(w, "not for you", http.StatusForbidden)
	}).Methods("GET")
	r.HandleFunc("/panic", func(w http.ResponseWriter, r *http.Request) {
		session.FromContext(r).Set("value", "panic")
		panic("boom")
	}).Methods("GET")
	r.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		session.FromContext(r).Set("value", "stream")
		fmt.Fprintln(w, "first")
		w.(http.Flusher).Flush()
		<-step
		session.FromContext(r).Set("value", "late")
		fmt.Fprintln(w, "second")
	}).Methods("GET")
	return r
}

// recoverer answers 500 where next panics, as RecoveryHandler of
// gorilla/handlers does. It stands outside of the sessions.
func recoverer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if recover() != nil {
				http.Error(w, "sorry", http.StatusInternalServerError)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

func TestAround(t *testing.T) {
	suite.Run(t, func(m *session.Manager, step <-chan struct{}) http.Handler {
		return recoverer(m.Middleware(app(step)))
	})
}

// gorilla/mux hands net/http's own writers around, so its Use is as good. It
// runs for routes that match, and for nothing else.
func TestUse(t *testing.T) {
	suite.Run(t, func(m *session.Manager, step <-chan struct{}) http.Handler {
		r := app(step)
		r.Use(recoverer, m.Middleware)
		return r
	})
}

// A NotFoundHandler that shows who is logged in needs the sessions around the
// router: Use does not reach it.
func TestNotFound(t *testing.T) {
	m, err := session.New(session.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, ok := session.Lookup(r.Context())
		fmt.Fprint(w, "session: ", ok)
	})

	for _, tc := range []struct {
		name, want string
		wire       func(*mux.Router) http.Handler
	}{
		{"Use", "session: false", func(r *mux.Router) http.Handler { r.Use(m.Middleware); return r }},
		{"around", "session: true", func(r *mux.Router) http.Handler { return m.Middleware(r) }},
	} {
		r := mux.NewRouter()
		r.NotFoundHandler = page
		w := httptest.NewRecorder()
		tc.wire(r).ServeHTTP(w, httptest.NewRequest("GET", "/nowhere", nil))
		if got := w.Body.String(); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

// Sub-routers with sessions of their own: the shop's cookie goes to every
// page, the back office's to the back office only.
func TestSubrouters(t *testing.T) {
	shop, err := session.New(session.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer shop.Close()
	office, err := session.New(session.Config{Cookie: cookie.Options{Name: "office", Path: "/office"}})
	if err != nil {
		t.Fatal(err)
	}
	defer office.Close()

	r := mux.NewRouter()
	r.Use(shop.Middleware)
	r.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		session.FromContext(r).Set("in", "shop")
	})
	sub := r.PathPrefix("/office").Subrouter()
	sub.Use(office.Middleware)
	sub.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		office.FromContext(r).Set("in", "office")
		fmt.Fprint(w, shop.FromContext(r).Get("in"), ", ", session.FromContext(r).Get("in"))
	})

	server := httptest.NewServer(r)
	defer server.Close()
	res, err := http.Get(server.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	req, _ := http.NewRequest("GET", server.URL+"/office/", nil)
	for _, c := range res.Cookies() {
		req.AddCookie(c)
	}
	res, err = http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	if got, want := string(body), "shop, office"; got != want {
		t.Errorf("the back office sees %q, want %q", got, want)
	}
	if cs := res.Cookies(); len(cs) != 1 || cs[0].Name != "office" || cs[0].Path != "/office" {
		t.Errorf("the back office's answer has the cookies %v, want its own only, for /office", cs)
	}
}

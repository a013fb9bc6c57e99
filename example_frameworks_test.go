package session_test

import (
	"expvar"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing/fstest"

	"github.com/go-chi/chi/v5"

	"github.com/chisession/session"
	"github.com/chisession/session/cookie"
)

// net/http's own mux: the sessions go around it.
func Example_serveMux() {
	manager, err := session.New(session.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer manager.Close()

	mux := http.NewServeMux()
	mux.HandleFunc("GET /name/{name}", func(w http.ResponseWriter, r *http.Request) {
		session.FromContext(r).Set("name", r.PathValue("name"))
		io.WriteString(w, "noted")
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Hello, %v", session.FromContext(r).Get("name"))
	})

	visit := visitor(manager.Middleware(mux))
	fmt.Println(visit("/name/Ada"))
	fmt.Println(visit("/"))
	// Output:
	// noted
	// Hello, Ada
}

// Static files go without sessions: no load, no cookie, no Vary. Where they
// share a router with pages, Skip says which requests they are; where they
// have a route of their own, a group does.
func Example_staticFiles() {
	static := http.FileServerFS(fstest.MapFS{
		"assets/app.css": {Data: []byte("body { color: green }")},
		"favicon.ico":    {Data: []byte("icon")},
	})
	manager, err := session.New(session.Config{
		Skip: func(r *http.Request) bool {
			return strings.HasPrefix(r.URL.Path, "/assets/") || r.URL.Path == "/favicon.ico"
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer manager.Close()

	r := chi.NewRouter()
	r.Use(manager.Middleware)
	r.Handle("/assets/*", static)
	r.Handle("/favicon.ico", static)
	r.Get("/", func(w http.ResponseWriter, r *http.Request) {
		visits, _ := session.Update(session.FromContext(r), "visits", func(n int) int { return n + 1 })
		fmt.Fprint(w, "visit ", visits)
	})

	visit := visitor(r)
	fmt.Println(visit("/"))
	fmt.Println(visit("/assets/app.css"))
	fmt.Println(visit("/favicon.ico"))
	fmt.Println(visit("/"))
	fmt.Println("loads:", manager.Stats().Loads) // for the second visit alone
	// Output:
	// visit 1
	// body { color: green }
	// icon
	// visit 2
	// loads: 1
}

// Groups and sub-routers with sessions of their own: the cookie of the pages
// is not sent to the API, nor the other way round, as neither's path leads to
// the other. A route outside of both has no session.
func Example_subRouters() {
	pages, err := session.New(session.Config{Cookie: cookie.Options{Name: "pages", Path: "/pages"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pages.Close()
	api, err := session.New(session.Config{Transport: session.HeaderTransport(session.TokenHeader)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer api.Close()

	set := func(w http.ResponseWriter, r *http.Request) {
		session.FromContext(r).Set("at", r.URL.Path)
		fmt.Fprintf(w, "%d", session.FromContext(r).Len())
	}
	r := chi.NewRouter()
	r.Route("/pages", func(r chi.Router) {
		r.Use(pages.Middleware)
		r.Get("/", set)
	})
	r.Group(func(r chi.Router) {
		r.Use(api.Middleware)
		r.Get("/api", set)
	})
	r.Get("/health", func(w http.ResponseWriter, r *http.Request) {
		_, ok := session.Lookup(r.Context())
		fmt.Fprint(w, ok)
	})

	for _, path := range []string{"/pages/", "/api", "/health"} {
		w := httptest.NewRecorder()
		r.ServeHTTP(w, httptest.NewRequest("GET", "http://localhost"+path, nil))
		fmt.Printf("%s: cookies %d, token %v\n", path, len(w.Result().Cookies()), w.Header().Get(session.TokenHeader) != "")
	}
	// Output:
	// /pages/: cookies 1, token false
	// /api: cookies 0, token true
	// /health: cookies 0, token false
}

// Two managers in one application: everybody has the shop's session, the back
// office has a second one, with a shorter life and a cookie that goes nowhere
// else. FromContext(r) is the innermost; the manager's own is that manager's.
func ExampleManager_FromContext() {
	shop, err := session.New(session.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer shop.Close()
	office, err := session.New(session.Config{
		Cookie: cookie.Options{Name: "office", Path: "/office", SameSite: http.SameSiteStrictMode},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer office.Close()

	r := chi.NewRouter()
	r.Use(shop.Middleware)
	r.Get("/", func(w http.ResponseWriter, r *http.Request) {
		session.FromContext(r).Set("cart", 3)
		io.WriteString(w, "three in the cart")
	})
	r.Route("/office", func(r chi.Router) {
		r.Use(office.Middleware)
		r.Get("/login", func(w http.ResponseWriter, r *http.Request) {
			office.FromContext(r).SetUser("ada") // the shop's session stays as it is
			io.WriteString(w, "logged in")
		})
		r.Get("/", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "office: %q, shop: %q and %v in the cart",
				session.FromContext(r).User(), shop.FromContext(r).User(), shop.FromContext(r).Get("cart"))
		})
	})

	visit := visitor(r)
	fmt.Println(visit("/"))
	fmt.Println(visit("/office/login"))
	fmt.Println(visit("/office/"))
	// Output:
	// three in the cart
	// logged in
	// office: "ada", shop: "" and 3 in the cart
}

// The counters of a manager as an expvar, for /debug/vars.
func ExampleManager_Stats() {
	manager, err := session.New(session.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer manager.Close()
	stats := expvar.Func(func() any { return manager.Stats() })
	// expvar.Publish("session", stats), once in a program

	visit := visitor(manager.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session.FromContext(r).Set("seen", true)
	})))
	visit("/")
	visit("/")
	fmt.Println(stats)
	// Output:
	// {"loads":1,"hits":1,"creates":1,"updates":0,"touches":0,"deletes":0,"logins":0,"renewals":0,"conflicts":0,"dropped":0,"superseded":0,"rejected":0,"tossed":0,"unreadable":0,"unavailable":0,"errors":0,"swept":0}
}

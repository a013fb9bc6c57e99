package session_test

import (
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/chisession/session"
)

// A login gives the session a new token, so that nobody who knew the old one
// is in; what is in the session stays.
func ExampleSession_SetUser() {
	manager, visit := serveExample(session.Config{}, map[string]http.HandlerFunc{
		"/add": func(w http.ResponseWriter, r *http.Request) {
			session.FromContext(r).Set("cart", "tea")
		},
		"/login": func(w http.ResponseWriter, r *http.Request) {
			s := session.FromContext(r)
			before := s.Token()
			s.SetUser("ada") // after her password was checked
			if err := s.Save(); err != nil {
				http.Error(w, "please try again", http.StatusServiceUnavailable)
				return
			}
			fmt.Fprintln(w, "a new token:", s.Token() != before)
		},
		"/me": func(w http.ResponseWriter, r *http.Request) {
			s := session.FromContext(r)
			fmt.Fprintf(w, "user %q, cart %v\n", s.User(), s.Get("cart"))
		},
	})
	defer manager.Close()

	visit("/add")
	fmt.Print(visit("/me"))
	fmt.Print(visit("/login"))
	fmt.Print(visit("/me"))
	// Output:
	// user "", cart tea
	// a new token: true
	// user "ada", cart tea
}

// Renew is for other changes of what a session may do. The ID, which is
// public, stays.
func ExampleSession_Renew() {
	manager, visit := serveExample(session.Config{}, map[string]http.HandlerFunc{
		"/login": func(w http.ResponseWriter, r *http.Request) {
			session.FromContext(r).SetUser("ada")
		},
		"/sudo": func(w http.ResponseWriter, r *http.Request) {
			s := session.FromContext(r)
			id, token := s.ID(), s.Token()
			s.Set("sudo", true)
			s.Renew()
			if err := s.Save(); err != nil {
				http.Error(w, "please try again", http.StatusServiceUnavailable)
				return
			}
			fmt.Fprintln(w, "same ID:", s.ID() == id)
			fmt.Fprintln(w, "same token:", s.Token() == token)
			fmt.Fprintln(w, "still", s.User())
		},
	})
	defer manager.Close()

	visit("/login")
	fmt.Print(visit("/sudo"))
	// Output:
	// same ID: true
	// same token: false
	// still ada
}

// A logout ends the session. What is set after it belongs to a new one.
func ExampleSession_Destroy() {
	manager, visit := serveExample(session.Config{}, map[string]http.HandlerFunc{
		"/login": func(w http.ResponseWriter, r *http.Request) {
			s := session.FromContext(r)
			s.SetUser("ada")
			s.Set("secret", 42)
		},
		"/logout": func(w http.ResponseWriter, r *http.Request) {
			s := session.FromContext(r)
			s.Destroy()
			s.Set("goodbye", true)
		},
		"/": func(w http.ResponseWriter, r *http.Request) {
			s := session.FromContext(r)
			fmt.Fprintf(w, "user %q, values %v\n", s.User(), s.Keys())
		},
	})
	defer manager.Close()

	visit("/login")
	fmt.Print(visit("/"))
	visit("/logout")
	fmt.Print(visit("/"))
	// Output:
	// user "ada", values [secret]
	// user "", values [goodbye]
}

// loginPages are the pages of an application with a list of devices.
func loginPages(manager **session.Manager) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r)
		s.SetUser("ada")
		s.SetLabel(r.FormValue("device"))
	})
	mux.HandleFunc("/devices", func(w http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r)
		infos, err := (*manager).Sessions(r.Context(), s.User())
		if err != nil {
			http.Error(w, "please try again", http.StatusServiceUnavailable)
			return
		}
		for _, info := range infos {
			fmt.Fprintln(w, info.Label, info.ID == s.ID())
		}
	})
	mux.HandleFunc("/logout-others", func(w http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r)
		n, err := (*manager).RevokeUser(r.Context(), s.User(), s.ID())
		fmt.Fprintln(w, n, "ended, error:", err)
	})
	mux.HandleFunc("/me", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "user %q\n", session.FromContext(r).User())
	})
	return mux
}

// A user's sessions, for a page that lists devices.
func ExampleManager_Sessions() {
	manager, err := session.New(session.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer manager.Close()

	phone := visitor(manager.Middleware(loginPages(&manager)))
	phone("/login?device=phone")
	fmt.Print(phone("/devices"))
	// Output: phone true
}

// "Log out everywhere else".
func ExampleManager_RevokeUser() {
	manager, err := session.New(session.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer manager.Close()

	pages := manager.Middleware(loginPages(&manager))
	phone, laptop := visitor(pages), visitor(pages)
	phone("/login?device=phone")
	laptop("/login?device=laptop")

	fmt.Print(laptop("/logout-others"))
	fmt.Print("phone: ", phone("/me"))
	fmt.Print("laptop: ", laptop("/me"))
	// Output:
	// 1 ended, error: <nil>
	// phone: user ""
	// laptop: user "ada"
}

var again = template.Must(template.New("").Parse(`<!DOCTYPE html><title>One moment</title><form method="post">
{{range $name, $values := .}}{{range $values}}<input type="hidden" name="{{$name}}" value="{{.}}">
{{end}}{{end}}<button>Continue</button></form><script>document.forms[0].submit()</script>
`))

// fromHere has the browser send a POST from another site once more, from a page
// of ours: then its Lax cookie comes with it. Use it for the one address that
// an identity provider posts to, whose handler checks the state.
func fromHere(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Sec-Fetch-Site") != "cross-site" {
			next(w, r)
			return
		}
		if err := r.ParseForm(); err != nil {
			http.Error(w, "bad form", http.StatusBadRequest)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		again.Execute(w, r.PostForm)
	}
}

// Sign in with Apple and SAML post their result to you from their own site
// (response_mode=form_post). The session's cookie is SameSite=Lax, so it does
// not come along, and with it neither the state nor the cart.
func Example_formPost() {
	m, err := session.New(session.Config{})
	if err != nil {
		panic(err)
	}
	defer m.Close()
	r := chi.NewRouter()
	r.Use(m.Middleware)
	r.Get("/login", func(w http.ResponseWriter, r *http.Request) {
		session.FromContext(r).Set("state", "af0ifjsldkj") // random, a new one for each login
		http.Redirect(w, r, "https://appleid.apple.com/auth/authorize?response_mode=form_post&state=af0ifjsldkj", http.StatusSeeOther)
	})
	r.Post("/callback", fromHere(func(w http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r)
		if state, _ := s.Pop("state").(string); state == "" || state != r.PostFormValue("state") {
			http.Error(w, "this login was not begun here", http.StatusForbidden)
			return
		}
		s.SetUser("ada") // whom r.PostFormValue("code") or the assertion stands for
		fmt.Fprint(w, "welcome")
	}))

	post := func(site, cookie string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		req := httptest.NewRequest("POST", "https://shop.example/callback", strings.NewReader(url.Values{"state": {"af0ifjsldkj"}}.Encode()))
		req.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Sec-Fetch-Site": {site}}
		if cookie != "" {
			req.Header.Set("Cookie", cookie)
		}
		r.ServeHTTP(w, req)
		return w
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest("GET", "https://shop.example/login", nil))
	cookie, _, _ := strings.Cut(w.Header().Get("Set-Cookie"), ";")

	fromApple := post("cross-site", "") // the browser keeps the cookie back
	page, _ := io.ReadAll(fromApple.Body)
	fmt.Println(fromApple.Code, strings.Contains(string(page), `name="state" value="af0ifjsldkj"`), len(fromApple.Header()["Set-Cookie"]))
	fromPage := post("same-origin", cookie)
	fmt.Println(fromPage.Code, fromPage.Body)
	// Output:
	// 200 true 0
	// 200 welcome
}

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

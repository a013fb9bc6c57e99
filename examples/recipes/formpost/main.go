// Formpost takes the result of a login that another site posts: SAML, Sign in with Apple.
package main

import (
	"crypto/rand"
	"html/template"
	"log"
	"net/http"

	"github.com/chisession/session"
)

var again = template.Must(template.New("").Parse(`<!DOCTYPE html><form method="post">{{range $name, $values := .}}{{range $values}}
<input type="hidden" name="{{$name}}" value="{{.}}">{{end}}{{end}}<button>Continue</button></form><script>document.forms[0].submit()</script>`))

func start(w http.ResponseWriter, r *http.Request) {
	state := rand.Text() // RelayState in SAML
	session.FromContext(r).Set("state", state)
	http.Redirect(w, r, "https://login.example/authorize?response_mode=form_post&state="+state, http.StatusSeeOther)
}

func callback(w http.ResponseWriter, r *http.Request) {
	r.ParseForm()
	if r.Header.Get("Sec-Fetch-Site") == "cross-site" { // without our SameSite cookie:
		again.Execute(w, r.PostForm) // a page of ours posts it once more, with it
	} else if state, _ := session.Pop[string](session.FromContext(r), "state"); state == "" || state != r.PostForm.Get("state") {
		http.Error(w, "this login did not start here", http.StatusForbidden)
	} else {
		session.FromContext(r).SetUser("ada") // whom the code, or the assertion with its signature, stands for
	}
}

func routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", start)
	mux.HandleFunc("POST /login", callback)
	return session.Middleware(session.Config{})(mux)
}

func main() { log.Fatal(http.ListenAndServe("127.0.0.1:8080", routes())) }

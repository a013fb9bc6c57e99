package flash_test

import (
	"fmt"
	"html/template"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"

	"github.com/go-chi/chi/v5"

	"github.com/chisession/session"
	"github.com/chisession/session/flash"
)

// A form's handler says what it did, and the page after the redirect shows it.
func Example() {
	page := template.Must(template.New("").Parse(
		`{{range .}}<p class="{{.Level}}">{{.}}</p>{{else}}<p>Nothing new.</p>{{end}}` + "\n"))

	r := chi.NewRouter()
	r.Use(session.Middleware(session.Config{}))
	r.Post("/rename", func(w http.ResponseWriter, r *http.Request) {
		flash.Success(r, "You are %s now.", r.FormValue("name"))
		flash.Notice(r, "Tell your friends.")
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	r.Get("/", func(w http.ResponseWriter, r *http.Request) {
		page.Execute(w, flash.Take(r))
	})

	server := httptest.NewTLSServer(r) // a Secure cookie goes back over HTTPS only
	defer server.Close()
	jar, _ := cookiejar.New(nil)
	browser := server.Client()
	browser.Jar = jar
	show := func(answer *http.Response, err error) {
		if err != nil {
			fmt.Println(err)
			return
		}
		defer answer.Body.Close()
		_, _ = os.Stdout.ReadFrom(answer.Body)
	}
	show(browser.PostForm(server.URL+"/rename", map[string][]string{"name": {"<Ada>"}}))
	show(browser.Get(server.URL + "/"))

	// Output:
	// <p class="success">You are &lt;Ada&gt; now.</p><p class="notice">Tell your friends.</p>
	// <p>Nothing new.</p>
}

// Templates can have the messages by level, as one text or one by one.
func ExampleMessages_Map() {
	page := template.Must(template.New("").Parse(
		`{{with .flash.success}}<p>{{.}}</p>{{end}}<ul>{{range .flash.error}}<li>{{.}}</li>{{end}}</ul>{{.flash.notice}}` + "\n"))

	messages := flash.Messages{
		{Level: flash.LevelError, Text: "Name is missing."},
		{Level: flash.LevelSuccess, Text: "Saved."},
		{Level: flash.LevelError, Text: "Age is not a number."},
	}
	page.Execute(os.Stdout, map[string]any{"flash": messages.Map()})

	// Output:
	// <p>Saved.</p><ul><li>Name is missing.</li><li>Age is not a number.</li></ul>
}

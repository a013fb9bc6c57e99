package flash_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/chisession/session"
	"github.com/chisession/session/flash"
)

// A form with an error is shown again at once, without a redirect: the message
// is for this response alone.
func ExampleNow() {
	form := func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("name") == "" {
			flash.Now(r, flash.LevelError, "Please give a name.")
		}
		for _, m := range flash.Take(r) {
			fmt.Fprintf(w, "%s: %s\n", m.Level, m)
		}
	}
	handler := session.Middleware(session.Config{})(http.HandlerFunc(form))

	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequest("GET", "/?name=", nil))
	fmt.Print(answer.Body)
	fmt.Println(answer.Header()["Set-Cookie"])

	// Output:
	// error: Please give a name.
	// []
}

// Keep shows a message on one page more.
func ExampleKeep() {
	step := 0
	handler := session.Middleware(session.Config{})(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		switch step++; {
		case step == 1:
			flash.Warning(r, "Your trial ends today.")
		case step == 2:
			fmt.Println(step, flash.Take(r))
			flash.Keep(r)
		default:
			fmt.Println(step, flash.Take(r))
		}
	}))

	var cookies []*http.Cookie
	for range 4 {
		request, answer := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
		for _, c := range cookies {
			request.AddCookie(c)
		}
		handler.ServeHTTP(answer, request)
		cookies = append(cookies, answer.Result().Cookies()...)
	}

	// Output:
	// 2 [Your trial ends today.]
	// 3 [Your trial ends today.]
	// 4 []
}

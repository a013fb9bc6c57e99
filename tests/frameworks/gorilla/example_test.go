package gorilla_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/gorilla/mux"

	"github.com/chisession/session"
)

func Example() {
	m, err := session.New(session.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close() // after the server's Shutdown

	r := mux.NewRouter()
	r.HandleFunc("/name/{name}", func(w http.ResponseWriter, r *http.Request) {
		session.FromContext(r).Set("name", mux.Vars(r)["name"])
		fmt.Fprintln(w, "noted")
	})
	app := m.Middleware(r) // http.ListenAndServe(addr, app)

	w := httptest.NewRecorder()
	app.ServeHTTP(w, httptest.NewRequest("GET", "http://localhost/name/Ada", nil))
	fmt.Printf("%s%d cookie\n", w.Body, len(w.Result().Cookies()))
	// Output:
	// noted
	// 1 cookie
}

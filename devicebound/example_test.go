package devicebound_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/chisession/session"
	"github.com/chisession/session/devicebound"
	"github.com/chisession/session/sessiontest"
)

// A login binds the session to the browser's device, beside the page that comes
// next. Whoever tries with the cookie alone, later, is told to Config.On.
func ExampleNew() {
	m, err := session.New(session.Config{On: func(_ context.Context, e session.Event) {
		if e.Kind == session.EventRejected && e.Reason == session.ReasonUnproven {
			log.Printf("somebody has a cookie of %s, and not the device: %s", e.User, e.RemoteAddr)
		}
	}})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	if _, err := devicebound.New(m, devicebound.Options{}); err != nil {
		log.Fatal(err)
	}
	server := httptest.NewTLSServer(m.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r)
		if r.URL.Path == "/login" {
			s.SetUser("ada") // whose password was right
		}
		fmt.Fprintf(w, "user %q, bound: %t", s.User(), devicebound.Bound(r))
	})))
	defer server.Close()

	jar := sessiontest.NewJar()
	browser := &http.Client{Jar: jar, Transport: sessiontest.NewDevice(jar, server.Client().Transport)}
	show := func(who string, res *http.Response, err error) {
		if err != nil {
			log.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(who, "is", string(text))
	}
	res, err := browser.Get(server.URL + "/login")
	show("At the login she", res, err)
	res, err = browser.Get(server.URL + "/")
	show("Then she", res, err)

	// Output:
	// At the login she is user "ada", bound: false
	// Then she is user "ada", bound: true
}

package echo_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"github.com/chisession/session"
)

func Example() {
	m, err := session.New(session.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close() // after the server's Shutdown

	e := echo.New()
	e.Use(middleware.Recover(), dropOnPanic)
	e.GET("/name/:name", func(c echo.Context) error {
		session.FromContext(c.Request()).Set("name", c.Param("name"))
		return c.String(http.StatusOK, "noted\n")
	})
	app := m.Middleware(e) // http.ListenAndServe(addr, app), in place of e.Start

	w := httptest.NewRecorder()
	app.ServeHTTP(w, httptest.NewRequest("GET", "http://localhost/name/Ada", nil))
	fmt.Printf("%s%d cookie\n", w.Body, len(w.Result().Cookies()))
	// Output:
	// noted
	// 1 cookie
}

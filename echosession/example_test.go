package echosession_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"github.com/chisession/session"
	"github.com/chisession/session/echosession"
	"github.com/chisession/session/sessiontest"
)

func Example() {
	m, err := session.New(session.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close() // after the server's Shutdown

	e := echo.New()
	e.Use(middleware.Recover(), echosession.Middleware(m))
	e.GET("/", func(c echo.Context) error {
		s := echosession.FromContext(c)
		n, _ := s.Get("visits").(int)
		s.Set("visits", n+1)
		return c.String(http.StatusOK, fmt.Sprintf("visit %d", n+1))
	})
	server := httptest.NewServer(e) // e.Start(addr)
	defer server.Close()

	browser := http.Client{Jar: sessiontest.NewJar()}
	for range 2 {
		res, err := browser.Get(server.URL)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(res.Status, res.ContentLength, "bytes,", len(res.Cookies()), "cookies")
		res.Body.Close()
	}
	// Output:
	// 200 OK 7 bytes, 1 cookies
	// 200 OK 7 bytes, 0 cookies
}

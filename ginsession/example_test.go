package ginsession_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/gin-gonic/gin"

	"github.com/chisession/session"
	"github.com/chisession/session/ginsession"
	"github.com/chisession/session/sessiontest"
)

func Example() {
	m, err := session.New(session.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close() // after the server's Shutdown

	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.Use(gin.Recovery(), ginsession.Middleware(m))
	engine.GET("/", func(c *gin.Context) {
		s := ginsession.FromContext(c)
		n, _ := s.Get("visits").(int)
		s.Set("visits", n+1)
		c.String(http.StatusOK, "visit %d", n+1)
	})
	server := httptest.NewServer(engine) // engine.Run(addr)
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

package gin_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/gin-gonic/gin"

	"github.com/chisession/session"
)

func Example() {
	m, err := session.New(session.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close() // after the server's Shutdown

	engine := gin.New()
	engine.Use(gin.Recovery(), dropOnPanic)
	engine.GET("/name/:name", func(c *gin.Context) {
		session.FromContext(c.Request).Set("name", c.Param("name"))
		c.String(http.StatusOK, "noted\n")
	})
	server := httptest.NewServer(m.Middleware(engine)) // http.ListenAndServe(addr, m.Middleware(engine))
	defer server.Close()

	res, err := http.Get(server.URL + "/name/Ada")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	fmt.Printf("%s%d cookie\n", body, len(res.Cookies()))
	// Output:
	// noted
	// 1 cookie
}

package gin_test

import (
	"fmt"
	"io"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/chisession/session"
	"github.com/chisession/session/flash"
	"github.com/chisession/session/tests/frameworks/internal/suite"
)

func init() { gin.SetMode(gin.ReleaseMode) }

// dropOnPanic drops what a handler Set before it panicked. It does not recover:
// the panic goes on to gin.Recovery, which is mounted before it.
func dropOnPanic(c *gin.Context) {
	returned := false
	defer func() {
		if !returned {
			session.FromContext(c.Request).Reload()
		}
	}()
	c.Next()
	returned = true
}

// engine has the suite's routes, and a recovery with those middlewares after it.
func engine(step <-chan struct{}, middlewares ...gin.HandlerFunc) *gin.Engine {
	e := gin.New()
	e.Use(gin.RecoveryWithWriter(io.Discard))
	e.Use(middlewares...)
	e.GET("/set/:value", func(c *gin.Context) {
		session.FromContext(c.Request).Set("value", c.Param("value"))
		c.String(http.StatusOK, "noted")
	})
	e.GET("/get", func(c *gin.Context) {
		v, ok := session.Get[string](session.FromContext(c.Request), "value")
		if !ok {
			v = "nothing"
		}
		c.String(http.StatusOK, v)
	})
	e.POST("/login", func(c *gin.Context) {
		session.FromContext(c.Request).SetUser("ada")
		flash.Success(c.Request, "Welcome.")
		c.Redirect(http.StatusSeeOther, "/home")
	})
	e.GET("/home", func(c *gin.Context) {
		text := session.FromContext(c.Request).User() + ":"
		for _, m := range flash.Take(c.Request) {
			text += m.String()
		}
		c.String(http.StatusOK, text)
	})
	e.POST("/logout", func(c *gin.Context) {
		session.FromContext(c.Request).Destroy()
		c.Redirect(http.StatusSeeOther, "/get")
	})
	e.GET("/json", func(c *gin.Context) {
		session.FromContext(c.Request).Set("value", "json")
		c.Header("ETag", `"1"`)
		c.JSON(http.StatusCreated, suite.Body)
	})
	e.GET("/empty", func(c *gin.Context) {
		session.FromContext(c.Request).Set("value", "empty")
		c.Status(http.StatusNoContent) // gin sends it after the handler has returned
	})
	e.GET("/refuse", func(c *gin.Context) {
		session.FromContext(c.Request).Set("value", "refuse")
		c.AbortWithStatusJSON(http.StatusForbidden, gin.H{"error": "not for you"})
	}, func(c *gin.Context) { panic("a handler after Abort") })
	e.GET("/panic", func(c *gin.Context) {
		session.FromContext(c.Request).Set("value", "panic")
		panic("boom")
	})
	e.GET("/stream", func(c *gin.Context) {
		s := session.FromContext(c.Request)
		s.Set("value", "stream")
		lines := []string{"first", "second"}
		c.Stream(func(w io.Writer) bool { // flushes each; needs CloseNotify
			if len(lines) == 1 {
				<-step
				s.Set("value", "late")
			}
			fmt.Fprintln(w, lines[0])
			lines = lines[1:]
			return len(lines) > 0
		})
	})
	return e
}

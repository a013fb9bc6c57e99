// Package ginsession mounts sessions inside a gin application:
//
//	engine := gin.Default()
//	engine.Use(ginsession.Middleware(m))
//	engine.GET("/", func(c *gin.Context) {
//		s := ginsession.FromContext(c)
//		n, _ := s.Get("visits").(int)
//		s.Set("visits", n+1)
//	})
//
// It is for groups of routes, and for engines that are started by Run. Around
// a whole engine, m.Middleware(engine) does the same without this package.
package ginsession

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/chisession/session"
)

// Middleware returns m's middleware for gin. The session is stored before the
// first byte of the response leaves; if it cannot be loaded, the client gets
// the error response, and the handlers that follow are aborted. c.Request and
// c.Writer are those of the session while the handlers run.
//
// Mount it after gin.Recovery, as gin.Default does: a recovery between the
// sessions and a handler hides the handler's panic, and what the handler Set
// before it is stored.
//
// It costs two small allocations a request beside those of [session.Manager.Middleware].
func Middleware(m *session.Manager) gin.HandlerFunc {
	return func(c *gin.Context) {
		outer, request, ran := c.Writer, c.Request, false
		defer func() { c.Writer, c.Request = outer, request }()
		m.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ran = true
			inner := &writer{ResponseWriter: outer, to: w, status: outer.Status(), size: notWritten}
			c.Writer, c.Request = inner, r
			c.Next()
			inner.finish()
		})).ServeHTTP(sender{outer}, request)
		if !ran {
			c.Abort()
		}
	}
}

// FromContext returns the session of c's request, as [session.FromContext]
// does. It is never nil: without the middleware it says so when it is used.
func FromContext(c *gin.Context) *session.Session { return session.FromContext(c.Request) }

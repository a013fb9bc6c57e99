// Package echosession mounts sessions inside an echo application:
//
//	e := echo.New()
//	e.Use(middleware.Recover(), echosession.Middleware(m))
//	e.GET("/", func(c echo.Context) error {
//		s := echosession.FromContext(c)
//		n, _ := s.Get("visits").(int)
//		s.Set("visits", n+1)
//		return c.String(http.StatusOK, "hello")
//	})
//
// It is for groups of routes, and for applications that are started by
// e.Start. Around a whole application, m.Middleware(e) does the same without
// this package.
package echosession

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/chisession/session"
)

// Middleware returns m's middleware for echo. The session is stored before the
// first byte of the response leaves. c.Request and c.Response are those of the
// session while the handlers run.
//
// An error that a handler returns goes to echo's HTTPErrorHandler at once, as
// echo's own Logger does it: while the session is there, so that an error page
// may use it, and what the handler Set before it returned the error is stored.
// If an error must undo that, call Reload in the handler.
//
// Mount it after middleware.Recover: a recovery between the sessions and a
// handler hides the handler's panic, and what the handler Set before it is
// stored.
//
// It costs three small allocations a request beside those of [session.Manager.Middleware].
func Middleware(m *session.Manager) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			res, outer, request := c.Response(), c.Response().Writer, c.Request()
			sent := echo.NewResponse(outer, c.Echo()) // notes what leaves in the end
			defer func() {
				res.Writer = outer
				c.SetRequest(request)
				if sent.Committed {
					res.Status, res.Size, res.Committed = sent.Status, sent.Size, true
				}
			}()
			m.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				res.Writer = w
				c.SetRequest(r)
				if err := next(c); err != nil {
					c.Error(err)
				}
			})).ServeHTTP(sent, request)
			return nil
		}
	}
}

// FromContext returns the session of c's request, as [session.FromContext]
// does. It is never nil: without the middleware it says so when it is used.
func FromContext(c echo.Context) *session.Session { return session.FromContext(c.Request()) }

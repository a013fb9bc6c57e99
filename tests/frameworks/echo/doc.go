// Package echo shows, by its tests, sessions in an echo application. No
// adapter is needed: the net/http middleware goes around the whole of it.
//
//	e := echo.New()
//	e.Use(middleware.Recover(), dropOnPanic)
//	…
//	http.ListenAndServe(addr, m.Middleware(e)) // in place of e.Start
//
// (e.Start sets the handler of e.Server to e itself, whatever it was before.)
//
// A handler has its session by session.FromContext(c.Request()). Errors that
// handlers return are answered by echo's HTTPErrorHandler, which runs within
// the sessions and may use them.
//
// e.Use(echo.WrapMiddleware(m.Middleware)) works for handlers that write their
// answer. But the session is over when their error reaches HTTPErrorHandler,
// and a hook that was registered by c.Response().Before outside of it runs too
// late to change the session; see TestInside.
//
// middleware.Recover stops a panic inside echo, so the sessions see a handler
// that returned, and store what it Set. The few lines of dropOnPanic in the
// tests, mounted after Recover, undo that.
package echo

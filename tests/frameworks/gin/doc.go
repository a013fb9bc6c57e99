// Package gin shows, by its tests, sessions in a gin application. No adapter
// is needed: the net/http middleware goes around the whole engine.
//
//	engine := gin.New()
//	engine.Use(gin.Recovery(), dropOnPanic)
//	…
//	http.ListenAndServe(addr, m.Middleware(engine)) // in place of engine.Run
//
// A handler has its session by session.FromContext(c.Request).
//
// Wired inside, by engine.Use with an adapter that calls m.Middleware, it does
// not work: gin's c.Writer cannot be replaced by an http.ResponseWriter, so
// the header leaves before the session is stored, without the cookie; see
// TestInsideIsWrong. For sessions in a part of the application only, give that
// part an engine of its own, or use Config.Skip; see TestTwoEngines.
//
// gin's Recovery stops a panic inside the engine, so the sessions see a
// handler that returned, and store what it Set. The three lines of dropOnPanic
// in the tests, mounted after Recovery, undo that.
//
// A *gin.Context that is used as a context.Context finds the session only with
// engine.ContextWithFallback; c.Request.Context() always does.
package gin

// Package gin shows, by its tests, sessions in a gin application: around the
// whole engine by the net/http middleware, or inside of it by ginsession.
//
//	engine := gin.New()
//	engine.Use(gin.Recovery(), dropOnPanic)
//	…
//	http.ListenAndServe(addr, m.Middleware(engine)) // in place of engine.Run
//
// A handler has its session by session.FromContext(c.Request).
//
// Wired inside, by an adapter that calls m.Middleware and leaves c.Writer where
// it is, it does not work: the header leaves before the session is stored,
// without the cookie; see TestInsideIsWrong. ginsession puts a writer of its own
// there; see TestGinsession.
//
// gin's Recovery stops a panic inside the engine, so the sessions see a
// handler that returned, and store what it Set. The three lines of dropOnPanic
// in the tests, mounted after Recovery, undo that.
//
// A *gin.Context that is used as a context.Context finds the session only with
// engine.ContextWithFallback; c.Request.Context() always does.
package gin

// Package otelsession shows OpenTelemetry what sessions cost: a span and a
// measurement for each call of their store, and the counters of their manager.
//
//	manager, err := session.New(session.Config{
//		Store: otelsession.Wrap(store, otelsession.Options{}),
//	})
//	registration, err := otelsession.Observe(manager, otelsession.Options{})
//	http.ListenAndServe(addr, otelhttp.NewHandler(manager.Middleware(mux), "web"))
//
// Spans are children of the request's, if what starts that stands before the
// session's middleware, as otelhttp does here. Nothing that they say, and no
// label, holds a token, a value or the name of a user; the text of an error
// does not leave either, as a driver may repeat in it what it was given: it is
// in the log.
package otelsession

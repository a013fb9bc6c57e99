// Package gorilla shows, by its tests, sessions on a gorilla/mux router. The
// middleware is net/http's, so no adapter is needed:
//
//	r := mux.NewRouter()
//	…
//	http.ListenAndServe(addr, m.Middleware(r))
//
// r.Use(m.Middleware) does as well, but for a NotFoundHandler and a
// MethodNotAllowedHandler, which Use does not reach. A recovery middleware
// belongs before the sessions, so that what a handler Set before it panicked
// is dropped.
package gorilla

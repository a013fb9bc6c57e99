// Package requestmethod lets package flash ask a session for the method of its
// request, which is no concern of anybody else's.
package requestmethod

// Key is a key of Session.Local that always has a value: the request's method.
type Key struct{}

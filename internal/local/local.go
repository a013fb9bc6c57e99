// Package local has keys of Session.Local by which package flash asks a session
// for more than what SetLocal kept, and which are no concern of anybody else's.
package local

// Method is a key that always has a value: the request's method.
type Method struct{}

// Once is the key Key. If nothing is kept under it, what New returns is from now
// on: of goroutines that ask at the same time, all get the same.
type Once struct {
	Key any
	New func() any // quick, as it runs under the session's lock
}

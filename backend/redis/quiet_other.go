//go:build !unix

package redis

// quiet cannot look here. A connection that the server has closed is noticed
// by the first call that uses it.
func quiet(uintptr) bool { return true }

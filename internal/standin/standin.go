// Package standin is how package sessiontest tells package session that its
// manager stands in for that of the program under test, whatever the rules of
// that one are, and that a look at a session is no activity.
package standin

import "context"

type key struct{}

// Mark returns a context for a request whose sessions are a test's.
func Mark(ctx context.Context) context.Context { return context.WithValue(ctx, key{}, true) }

// Marked reports whether ctx comes from Mark.
func Marked(ctx context.Context) bool { return ctx.Value(key{}) != nil }

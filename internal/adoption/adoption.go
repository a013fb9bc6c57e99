// Package adoption is the door between packages session and migrate. An
// adoption stores a session for a browser that does not know of it yet, and
// that may never be told: so it must not cost anybody a session until it is
// certain. What that takes is nothing that a program should do by itself.
package adoption

import (
	"context"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/cookie"
)

// An Adoption is what a manager lends to an adoption. Manager.Start fills it in
// when it finds one in its request's context; the session that it returns is
// not held against Config.MaxPerUser when it is stored.
type Adoption struct {
	// Store is the manager's store.
	Store backend.Store

	// Cookie are the options of the manager's cookie.
	Cookie cookie.Options

	// Lines returns the Set-Cookie lines of the session's response, as they are
	// now: a callback that has the session may be changing it.
	Lines func() []string

	// Trim ends the oldest sessions of user above MaxPerUser, as a login
	// does.
	Trim func(ctx context.Context, user string) error
}

type key struct{}

// With returns ctx with a in it.
func With(ctx context.Context, a *Adoption) context.Context {
	return context.WithValue(ctx, key{}, a)
}

// Of returns the adoption in ctx, nil if there is none.
func Of(ctx context.Context) *Adoption {
	a, _ := ctx.Value(key{}).(*Adoption)
	return a
}

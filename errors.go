package session

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/internal/caller"
	"github.com/chisession/session/internal/stored"
)

// The errors that a caller may want to tell apart, with errors.Is.
var (
	// ErrNoMiddleware says that the request did not pass the middleware.
	ErrNoMiddleware = errors.New("session: no session in this context: mount session.Middleware on the router, before this handler")

	// ErrDisabled says that sessions are switched off by configuration.
	ErrDisabled = errors.New("session: sessions are off: Config.Disabled is set (sessionon is not true in the configuration file)")

	// ErrSkipped says that Config.Skip kept sessions out of this request.
	ErrSkipped = errors.New("session: Config.Skip returned true for this request")

	// ErrReleased says that the session was used after its handler returned.
	ErrReleased = errors.New("session: used after it was released: its handler has returned")

	// ErrHeadersSent says that a change needs a new cookie, which cannot be
	// sent any more, or that the client has got the error response already.
	// Nothing was stored.
	ErrHeadersSent = errors.New("session: the response's header is sent already: change the session before the first byte of the body")

	// ErrDestroyed says that the session ended while this request ran: by a
	// logout, a revocation, or its expiry. What this request did is dropped.
	ErrDestroyed = errors.New("session: it was destroyed, or expired, during this request")

	// ErrSuperseded says that another request renewed the session, so this
	// one holds an old token. What it did is dropped.
	ErrSuperseded = errors.New("session: its token was replaced by another request")

	// ErrUnavailable says that the session could not be loaded, and that
	// Config.OnOutage let the handler run all the same.
	ErrUnavailable = errors.New("session: the store did not answer, so this session keeps nothing")

	// ErrNested says that a session was to be changed or stored from within a
	// call of its own: an Update by the function of an Update, any change by what runs while
	// it is loaded, a Save, Reload or Update by what runs while it is stored
	// (a store, its driver, a tracer, a logger). It also says that one of
	// these waited for another of the same session for too long. Nothing was
	// stored; changes made before are kept for the next try.
	ErrNested = errors.New("session: called from within an Update, a load or a store call of the same session, or waited too long for one")

	// ErrOutcomeUnknown says that the store's reply to an Update was lost
	// and that others have written since: it may have been stored or not.
	ErrOutcomeUnknown = stored.ErrOutcomeUnknown

	// ErrTooLarge says that a session would be larger than Config.MaxBytes, or than
	// what the store can hold: it is backend.ErrTooLarge.
	ErrTooLarge = backend.ErrTooLarge

	// ErrCrossSite says that a request from another site, which came without the
	// cookie because SameSite keeps it back, was to start a new session by a plain
	// Set: its cookie would replace that of the session that the browser most
	// likely has. It is the same with a POST from another site, or a sibling
	// sub-domain, that came with the cookie of a session that is bound to a device
	// (package devicebound), and without a proof. See [Config.AllowCrossSite].
	ErrCrossSite = errors.New("session: a request from another site, which the browser sends no SameSite cookie with, starts no session in the place of the user's: " +
		"use SetUser or Renew where it logs in, have the browser send it again from a page of yours, or set Config.AllowCrossSite")

	// ErrUnproven says that [Manager.Start] hands out no session for this request,
	// as it is not known to come from the device that the session is bound to:
	// package devicebound wants to respond, so have its Binding serve the request.
	// The session and its cookie stay as they are. Without that package it does
	// not occur, nor behind the middleware, which responds by itself.
	ErrUnproven = errors.New("session: bound to a device, and the request does not prove to come from it: have the devicebound.Binding serve it")

	// ErrTooManySessions says that Config.OnMaxPerUser refused a login, as the user
	// has Config.MaxPerUser sessions already. What this request changed since it
	// was last stored is dropped; the session is what it was, and the handler may
	// go on with it. Save returns it; a handler that does not call Save has its
	// response replaced by 403.
	ErrTooManySessions = errors.New("session: the user has as many sessions as Config.MaxPerUser allows; the login is refused")

	// ErrClosed says that the manager was closed.
	ErrClosed = errors.New("session: the manager is closed")
)

// A StoreError says that the store failed, and in what.
type StoreError struct {
	Op  string // load, create, update, destroy, ...
	Err error  // the store's own
}

// Error names the operation and gives the store's error.
func (e *StoreError) Error() string { return "session: " + e.Op + ": " + e.Err.Error() }

// Unwrap returns the store's own error.
func (e *StoreError) Unwrap() error { return e.Err }

// A ValueError says which value could not be stored. It names the key and the
// type, never the value.
type ValueError struct {
	Key  string // the key
	Type string // the value's Go type
	Err  error  // why
}

// Error names key, type and cause.
func (e *ValueError) Error() string {
	return fmt.Sprintf("session: cannot store %q (type %s): %v", shortKey(e.Key), e.Type, e.Err)
}

// shortKey is what errors and logs show of a key or a path, which may be of any
// length.
func shortKey(key string) string {
	const most = 128
	if len(key) <= most {
		return key
	}
	return cut(key, most) + "…"
}

// Unwrap returns the cause; it is [ErrTooLarge] for a session over MaxBytes.
func (e *ValueError) Unwrap() error { return e.Err }

// An unsentError is what a request gets to hear that goes on after its client
// got the error response: what it stored now would lie under a token that
// nobody has.
type unsentError struct{ why error }

func (e *unsentError) Error() string {
	return "session: nothing more is stored, as the client has got the error response: " + e.why.Error()
}

func (e *unsentError) Unwrap() []error { return []error{ErrHeadersSent, e.why} }

// A goneError says that a session's new token could reach nobody.
type goneError struct{ why error }

func (e *goneError) Error() string {
	return "session: not stored, as its new token would reach nobody, the request's context being done: " + e.why.Error()
}

func (e *goneError) Unwrap() error { return e.why }

// A logoutError says that Destroy came too late to end anything: another
// request has renewed the session. A response of 200 would say "logged out" of
// a session that lives on; the browser has the new token, and can try again.
type logoutError struct{ why error }

func (e *logoutError) Error() string { return "session: not destroyed: " + e.why.Error() }

func (e *logoutError) Unwrap() error { return e.why }

// A callError is an error with the call of a handler that it comes from, for the
// log.
type callError struct {
	error
	call string // the method of Session
	by   caller.Stack
}

func (e *callError) Unwrap() error { return e.error }

// attrs are what the log says of the call.
func (e *callError) attrs() []slog.Attr {
	return []slog.Attr{slog.String("call", e.call), slog.Any("caller", e.by)}
}

// isA reports whether err is an E, or wraps one.
func isA[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// firstError returns the first of errs that is one.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

package sessiontest

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"

	"github.com/google/uuid"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/flash"
	"github.com/chisession/session/internal/standin"
)

// A Response is the response to a request, and what became of its session.
type Response struct {
	*httptest.ResponseRecorder

	c             *Client
	request       *http.Request
	cookies       []*http.Cookie // what the browser has after the response
	before, after state
}

// A state is what the store has for a browser.
type state struct {
	session *session.Session
	version uint64 // 0: no session
	token   string
	err     error // the store did not say
}

// look finds the session that a browser with these cookies has.
func (c *Client) look(cookies []*http.Cookie) (now state) {
	r := httptest.NewRequest("GET", "/", nil)
	for _, cookie := range cookies {
		r.AddCookie(cookie)
	}
	// It is not released, because that could note activity, as Start could for a
	// cookie with a lifetime. It holds nothing but memory.
	now.session, now.err = c.own.Start(httptest.NewRecorder(), r.WithContext(standin.Mark(r.Context())))
	if now.err != nil || now.session.IsNew() {
		return now
	}
	now.token = now.session.Token()
	now.version, now.err = c.version(now.session)
	return now
}

// version returns the version of the session's record, 0 if there is none.
func (c *Client) version(s *session.Session) (uint64, error) {
	id, err := uuid.Parse(s.ID())
	if err != nil {
		return 0, err
	}
	rec, err := c.store.Load(context.Background(), id)
	if errors.Is(err, backend.ErrNotFound) {
		return 0, nil
	}
	return rec.Version, err
}

// browser returns the cookies that a browser has that had some and got more.
// Paths and domains do not matter here.
func browser(had, got []*http.Cookie) []*http.Cookie {
	has := slices.Clone(had)
	for _, set := range got {
		has = slices.DeleteFunc(has, func(c *http.Cookie) bool { return c.Name == set.Name })
		if set.MaxAge >= 0 {
			has = append(has, &http.Cookie{Name: set.Name, Value: set.Value, Quoted: set.Quoted})
		}
	}
	return has
}

// Session returns the session that the browser has after the response, as it
// was stored when the handler had returned; an empty, new one if it has none.
// It is for reading: what is Set in it goes nowhere.
func (r *Response) Session() *session.Session {
	r.c.t.Helper()
	r.check()
	return r.after.session
}

// check fails the test if the store could not be looked at.
func (r *Response) check() {
	r.c.t.Helper()
	if err := errors.Join(r.before.err, r.after.err); err != nil {
		r.c.t.Fatalf("sessiontest: look at the session before and after the request: %v", err)
	}
}

// Flash returns the messages that the next page would show.
func (r *Response) Flash() flash.Messages {
	r.c.t.Helper()
	return flash.Of(r.Session()).Peek()
}

// Stored reports whether the request changed what is stored of the browser's
// session, or stored a new one. Activity noted by a touch is no change.
func (r *Response) Stored() bool {
	r.c.t.Helper()
	r.check()
	return r.after.version != 0 &&
		(r.before.version != r.after.version || r.before.session.ID() != r.after.session.ID())
}

// Renewed reports whether the session that the request came with has got a
// new token, which the browser holds now: what a login must do.
func (r *Response) Renewed() bool {
	r.c.t.Helper()
	r.check()
	return r.before.version != 0 && r.after.version != 0 &&
		r.before.session.ID() == r.after.session.ID() && r.before.token != r.after.token
}

// Destroyed reports whether the session that the request came with is no more:
// what a logout must do. It may have been followed by a new one; see Session.
func (r *Response) Destroyed() bool {
	r.c.t.Helper()
	r.check()
	if r.before.version == 0 {
		return false
	}
	version, err := r.c.version(r.before.session)
	if err != nil {
		r.c.t.Fatalf("sessiontest: look for the old session: %v", err)
	}
	return version == 0
}

// Next returns the request that this browser makes after the response: with the
// cookies that it has now, all of them, whatever their path.
func (r *Response) Next(method, target string) *http.Request {
	r.c.t.Helper()
	return r.with(r.c.Request(method, target))
}

// with adds the cookies that the browser has now to next, and returns it.
func (r *Response) with(next *http.Request) *http.Request {
	for _, cookie := range r.cookies {
		next.AddCookie(cookie)
	}
	return next
}

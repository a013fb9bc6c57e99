package behaviour

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/cookie"
	"github.com/chisession/session/flash"
)

// refusalCases are about changes that cannot be stored.
var refusalCases = []behaviour{
	each("a change that is not stored is not answered with success", refusals),
}

// A class is how a call changes a session.
type class int

const (
	changesNothing class = iota // it changes nothing that is stored
	addsValue                   // a value, as Set does
	takesValue                  // away, as Delete does
	setsHead                    // a setting that no cookie depends on
	setsCookie                  // a setting of the cookie
	renewsToken                 // the token
	logsIn                      // SetUser of another user
	endsSession                 // Destroy
	storesAtOnce                // it stores at once, and returns its own error
	takesAtOnce                 // atomic, but only if there is something to take
)

// A change is a call of the public API, by the name it has in the source.
type change struct {
	class  class
	before func(s *session.Session) // at the start of the handler
	do     func(r *http.Request, s *session.Session) error
	done   string // what a stored session is after it, see look; "" is gone

	logsOut bool // SetUser of nobody
}

const untouched = `ada a=1 b=<nil> messages=1 label="old" persist=0 lives=1h0m0s`

// onlyDoes returns a change without an error of their own.
func onlyDoes(c class, done string, do func(s *session.Session)) change {
	return change{class: c, done: done, do: func(_ *http.Request, s *session.Session) error { do(s); return nil }}
}

func doesWith(c class, done string, do func(r *http.Request)) change {
	return change{class: c, done: done, do: func(r *http.Request, _ *session.Session) error { do(r); return nil }}
}

func reading(what ...string) map[string]change {
	m := map[string]change{}
	for _, name := range what {
		m[name] = change{class: changesNothing}
	}
	return m
}

// Classified reports whether the table of refusals has the exported function or
// method of that name: "Session.Set", "session.Get".
func Classified(name string) bool {
	_, ok := calls[name]
	return ok
}

// calls are all exported functions and methods of packages session and flash
// that are given a session or a request. A new one fails TestCallsAreClassified
// until it is here.
var calls = func() map[string]change {
	twice := strings.Replace(untouched, "messages=1", "messages=2", 1)
	none := strings.Replace(untouched, "messages=1", "messages=0", 1)
	two := strings.Replace(untouched, "b=<nil>", "b=2", 1)
	emptied := ` a=<nil> b=<nil> messages=0 label="" persist=0 lives=1h0m0s`
	m := reading(
		"Session.Get", "Session.Has", "Session.Keys", "Session.Len", "Session.SetLocal", "Session.Local", "Session.ID", "Session.Token",
		"Session.User", "Session.Done", "Session.AuthenticatedAt", "Session.IsNew", "Session.CreatedAt", "Session.ExpiresAt", "Session.Unavailable", "Session.Err",
		"Session.Format", "Session.LogValue", "Session.MarshalJSON", "Session.Save", "Session.Reload", "Session.Release",
		"session.Get", "session.FromContext", "Session.NoTouch", "flash.Of", "flash.Now", "flash.Peek", "Flash.Now", "Flash.Peek",
	)
	maps.Copy(m, map[string]change{
		"Session.Set":    onlyDoes(addsValue, two, func(s *session.Session) { s.Set("b", "2") }),
		"Session.Delete": onlyDoes(takesValue, strings.Replace(untouched, "a=1", "a=<nil>", 1), func(s *session.Session) { s.Delete("a") }),
		"Session.Clear": onlyDoes(takesValue, `ada a=<nil> b=<nil> messages=0 label="old" persist=0 lives=1h0m0s`,
			func(s *session.Session) { s.Clear() }),
		"Session.Pop": onlyDoes(takesValue, strings.Replace(untouched, "a=1", "a=<nil>", 1), func(s *session.Session) { s.Pop("a") }),
		"session.Pop": onlyDoes(takesValue, strings.Replace(untouched, "a=1", "a=<nil>", 1), func(s *session.Session) { session.Pop[int](s, "a") }),

		"Session.SetLabel":       onlyDoes(setsHead, strings.Replace(untouched, "old", "new", 1), func(s *session.Session) { s.SetLabel("new") }),
		"Session.SetIdleTimeout": onlyDoes(setsHead, strings.Replace(untouched, "1h", "2h", 1), func(s *session.Session) { s.SetIdleTimeout(2 * time.Hour) }),
		"Session.SetAbsoluteTimeout": onlyDoes(setsHead, strings.Replace(untouched, "1h0m", "30m", 1),
			func(s *session.Session) { s.SetAbsoluteTimeout(30 * time.Minute) }),
		"Session.SetPersistent": onlyDoes(setsCookie, strings.Replace(untouched, "persist=0", "persist=2", 1), func(s *session.Session) { s.SetPersistent(true) }),

		"Session.Renew":               onlyDoes(renewsToken, untouched, func(s *session.Session) { s.Renew() }),
		"Session.SetUser":             onlyDoes(logsIn, "bob"+emptied, func(s *session.Session) { s.SetUser("bob") }),
		"Session.SetUser of the same": onlyDoes(logsIn, untouched, func(s *session.Session) { s.SetUser("ada") }),
		"Session.SetUser of nobody": {class: renewsToken, done: emptied, logsOut: true,
			do: func(_ *http.Request, s *session.Session) error { s.SetUser(""); return nil }},
		"Session.Destroy": onlyDoes(endsSession, "", func(s *session.Session) { s.Destroy() }),

		"Session.Update": {class: storesAtOnce, done: two, do: func(_ *http.Request, s *session.Session) error {
			return s.Update(func(v *session.Values) error { v.Set("b", "2"); return nil })
		}},
		"session.Update": {class: storesAtOnce, done: two, do: func(_ *http.Request, s *session.Session) error {
			_, err := session.Update(s, "b", func(string) string { return "2" })
			return err
		}},
		"flash.Take": doesWith(takesAtOnce, none, func(r *http.Request) { flash.Take(r) }),
		"Flash.Take": {class: takesAtOnce, done: none, do: func(_ *http.Request, s *session.Session) error {
			_, err := flash.Of(s).Take()
			return err
		}},
		"flash.Keep": {class: addsValue, done: untouched,
			before: func(s *session.Session) { flash.Of(s).Take() },
			do:     func(r *http.Request, _ *session.Session) error { flash.Keep(r); return nil }},
		"Flash.Keep": {class: addsValue, done: untouched,
			before: func(s *session.Session) { flash.Of(s).Take() },
			do:     func(_ *http.Request, s *session.Session) error { flash.Of(s).Keep(); return nil }},
		"Flash.Add":     onlyDoes(addsValue, twice, func(s *session.Session) { flash.Of(s).Add(flash.LevelNotice, "more") }),
		"flash.Add":     doesWith(addsValue, twice, func(r *http.Request) { flash.Add(r, flash.LevelNotice, "more") }),
		"flash.Success": doesWith(addsValue, twice, func(r *http.Request) { flash.Success(r, "more") }),
		"flash.Notice":  doesWith(addsValue, twice, func(r *http.Request) { flash.Notice(r, "more") }),
		"flash.Warning": doesWith(addsValue, twice, func(r *http.Request) { flash.Warning(r, "more") }),
		"flash.Error":   doesWith(addsValue, twice, func(r *http.Request) { flash.Error(r, "more") }),
	})
	return m
}()

// A told is what is told of a change.
type told struct {
	status   int    // of the response
	cookie   string // "token", "removal" or none
	returned error  // by the call, if it returns one
	err      error  // Session.Err after it
	save     error  // Session.Save after it
	log      string // level and part of the only line that is due; none if it is empty
	count    string // the counters that moved of those in counted
	store    string // what the session is that there was: "kept", "done", or "gone"
	untaken  bool   // Keep: nothing was taken before
}

// counted are the counters that tell of what was not done.
func counted(before, after session.Stats) string {
	var names []string
	for name, n := range map[string]uint64{
		"Dropped": after.Dropped - before.Dropped, "Superseded": after.Superseded - before.Superseded,
		"Unavailable": after.Unavailable - before.Unavailable, "Errors": after.Errors - before.Errors,
	} {
		if n > 0 {
			names = append(names, fmt.Sprint(name, " ", n))
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// A situation comes between the load of a session and a change of it.
type situation struct {
	cfg     func(*session.Config)
	prepare func(c *cell) // before the request
	arise   func(c *cell, w http.ResponseWriter, s *session.Session)
	late    bool // the change is made after the handler has returned
	fresh   bool // the request comes without a cookie
	want    func(of change) told
}

// stored is the told of a change that is stored as if nothing were.
func stored(of change) told {
	o := told{status: 200, store: "done"}
	switch of.class {
	case setsCookie, renewsToken, logsIn:
		o.cookie = "token"
		if of.class == setsCookie {
			o.cookie = "token" // the same one, to be kept
		}
	case endsSession:
		o.cookie, o.store = "removal", "gone"
	}
	return o
}

// refusedBy is the told of a change that is refused before it is tried.
func refusedBy(err error) func(of change) told {
	return func(of change) told {
		o := told{status: 200, err: err, save: err, log: "ERROR change ignored", store: "kept", untaken: err != session.ErrReleased}
		switch {
		case of.class == storesAtOnce:
			o.returned = err
			o.log = "" // the error says it
		case of.class == takesAtOnce, of.before != nil: // it looks first whether there is a message
			o.log = "ERROR read without a session"
		}
		return o
	}
}

var situations = map[string]situation{
	"nothing": {want: stored},
	"outage": {
		cfg:     func(cfg *session.Config) { cfg.OnOutage = session.OutageAnonymous },
		prepare: func(c *cell) { c.a.calls.On(backendtest.OpLoad, 1, backendtest.Fail(errTest)) },
		want: func(of change) told {
			o := told{status: 503, err: session.ErrUnavailable, save: session.ErrUnavailable,
				log: "ERROR request failed", count: "Errors 1, Unavailable 1", store: "kept"}
			switch {
			case of.class == storesAtOnce:
				o.returned = session.ErrUnavailable
			case of.class == takesAtOnce: // it takes nothing, so nothing is lost
				o = told{status: 200, log: "ERROR not loaded", count: o.count, store: "kept"}
			case of.before != nil: // nothing was taken, so there is nothing to keep
				o = told{status: 200, log: "ERROR not loaded", count: o.count, store: "kept", untaken: true}
			}
			return o
		},
	},
	"header sent": {
		arise: func(_ *cell, w http.ResponseWriter, _ *session.Session) { io.WriteString(w, "…") },
		want: func(of change) told {
			switch of.class {
			case setsCookie, renewsToken, logsIn:
				return told{status: 200, err: session.ErrHeadersSent, save: session.ErrHeadersSent,
					log: "ERROR change ignored", count: "Errors 1", store: "kept"}
			}
			o := stored(of)
			o.cookie = ""
			return o
		},
	},
	"header sent to a new visitor": {
		fresh: true,
		arise: func(_ *cell, w http.ResponseWriter, s *session.Session) { s.Get("a"); io.WriteString(w, "…") },
		want: func(of change) told {
			nothing := told{status: 200, store: "kept", untaken: true}
			switch {
			case of.class == storesAtOnce:
				nothing.returned = session.ErrHeadersSent
				return nothing
			case of.class == takesValue, of.class == takesAtOnce, of.class == endsSession, of.before != nil:
				return nothing // there is nothing to take away
			}
			return told{status: 200, err: session.ErrHeadersSent, save: session.ErrHeadersSent,
				log: "ERROR change ignored", count: "Errors 1", store: "kept"}
		},
	},
	"error response sent to a new visitor": {
		fresh: true,
		arise: func(c *cell, w http.ResponseWriter, s *session.Session) {
			c.a.calls.On(backendtest.OpCreate, 1, backendtest.Fail(backend.ErrTooLarge))
			s.Set("failing", true)
			io.WriteString(w, "…")
		},
		want: func(of change) told {
			o := told{status: 500, err: session.ErrHeadersSent, save: session.ErrHeadersSent,
				log: "ERROR request failed", count: "Errors 1", store: "kept", untaken: true}
			if of.class == storesAtOnce {
				o.returned = session.ErrHeadersSent
			}
			return o
		},
	},
	"error response sent": {
		arise: func(c *cell, w http.ResponseWriter, s *session.Session) {
			c.a.calls.On(backendtest.OpUpdate, 1, backendtest.Fail(backend.ErrTooLarge))
			s.Set("failing", true)
			io.WriteString(w, "…")
		},
		want: func(of change) told {
			o := told{status: 500, err: session.ErrHeadersSent, save: session.ErrHeadersSent,
				log: "ERROR request failed", count: "Errors 1", store: "kept"}
			if of.class == storesAtOnce || of.class == takesAtOnce {
				o.returned = session.ErrHeadersSent
			}
			return o
		},
	},
	"lost to a logout": {
		arise: func(c *cell, _ http.ResponseWriter, _ *session.Session) { c.other.get("/destroy") },
		want: func(of change) told {
			o := told{status: 200, save: session.ErrDestroyed, log: "INFO changes dropped", count: "Dropped 1", store: "gone"}
			return lost(of, o, session.ErrDestroyed)
		},
	},
	"lost to a revocation": {
		arise: func(c *cell, _ http.ResponseWriter, s *session.Session) {
			if err := c.other.app.Revoke(context.Background(), s.ID()); err != nil {
				c.t.Error(err)
			}
		},
		want: func(of change) told {
			o := told{status: 200, save: session.ErrDestroyed, log: "INFO changes dropped", count: "Dropped 1", store: "gone"}
			return lost(of, o, session.ErrDestroyed)
		},
	},
	"lost to a renewal": {
		arise: func(c *cell, _ http.ResponseWriter, _ *session.Session) { c.other.get("/renew") },
		want: func(of change) told {
			o := told{status: 200, save: session.ErrSuperseded, log: "INFO changes dropped", count: "Superseded 1", store: "kept"}
			if of.class == endsSession {
				o.status, o.log = 503, "INFO not destroyed"
			}
			return lost(of, o, session.ErrSuperseded)
		},
	},
	"token replaced before": {
		prepare: func(c *cell) { c.other.get("/renew") },
		want: func(of change) told {
			o := told{status: 200, err: session.ErrSuperseded, save: session.ErrSuperseded, log: "INFO changes dropped", count: "Superseded 1", store: "kept"}
			switch {
			case of.class == logsIn: // in a session of its own, without what it never loaded
				return told{status: 200, cookie: "token", store: "kept"}
			case of.class == endsSession:
				o.status, o.log, o.count = 503, "INFO request failed", ""
			case of.class == renewsToken && !of.logsOut: // of a new session, which there is not
				return told{status: 200, store: "kept"}
			case of.class == storesAtOnce:
				o.returned = session.ErrSuperseded
			case of.class == takesAtOnce, of.before != nil: // it sees no messages, and touches none
				o.save, o.log, o.count, o.untaken = nil, "", "", true
			}
			return o
		},
	},
	"released": {
		late: true,
		want: func(of change) told { return refusedBy(session.ErrReleased)(of) },
	},
	"skipped": {
		cfg:  func(cfg *session.Config) { cfg.Skip = func(r *http.Request) bool { return r.URL.Path == "/" } },
		want: refusedBy(session.ErrSkipped),
	},
	"disabled": {
		cfg:  func(cfg *session.Config) { cfg.Disabled = true },
		want: refusedBy(session.ErrDisabled),
	},
	"half of it done": {
		prepare: func(c *cell) { c.half.fail = 1 },
		want:    stored,
	},
	"client gone": {
		arise: func(c *cell, _ http.ResponseWriter, _ *session.Session) { c.hangUp() },
		want: func(of change) told {
			switch of.class {
			case renewsToken, logsIn: // the new token would be nobody's
				return told{status: 503, save: context.Canceled, log: "INFO request failed", store: "kept"}
			}
			return stored(of)
		},
	},
}

// lost is o for a change that finds its session ended when it is stored.
func lost(of change, o told, err error) told {
	switch of.class {
	case logsIn:
		o.cookie, o.save, o.log = "token", nil, "INFO a login goes on"
		if err == session.ErrDestroyed {
			o.count = ""
		}
	case endsSession:
		if err == session.ErrDestroyed { // which is all that Destroy wanted
			return told{status: 200, store: o.store}
		}
	case storesAtOnce: // the error says it
		o.returned, o.err, o.log = err, err, ""
	case takesAtOnce: // its messages went with the session
		o.err, o.save, o.log = err, nil, ""
	}
	return o
}

// A cell is one field of the table.
type cell struct {
	t      *testing.T
	a      *app
	half   *halfStore
	other  *browser // the same session, in a request meanwhile
	hangUp context.CancelFunc
}

// refusals is the table.
func refusals(t *testing.T, k Kind) {
	store := k.open(t)
	for name, of := range calls {
		if of.class == changesNothing {
			continue
		}
		for what, in := range situations {
			for _, save := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/save=%v", what, name, save), func(t *testing.T) { refusal(t, store, of, in, save) })
			}
		}
	}
}

func refusal(t *testing.T, store backend.Store, of change, in situation, save bool) {
	c := &cell{t: t, half: &halfStore{Store: store, index: map[string]map[uuid.UUID]bool{}}}
	all := newApp(t, session.Config{Store: c.half}) // where nothing ever goes wrong
	all.basics()
	all.handle("/start", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.Set("a", 1)
		flash.Of(s).Add(flash.LevelNotice, "one")
		s.SetUser("ada")
		s.SetLabel("old")
	})
	all.handle("/look", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		if s.IsNew() {
			return
		}
		lives := time.Until(s.ExpiresAt()).Round(time.Minute)
		fmt.Fprintf(w, "%s a=%v b=%v messages=%d label=LABEL persist=PERSIST lives=%v", s.User(), s.Get("a"), s.Get("b"), len(flash.Of(s).Peek()), lives)
	})
	cfg := session.Config{Store: c.half}
	if in.cfg != nil {
		in.cfg(&cfg)
	}
	a := newApp(t, cfg)
	c.a, c.other = a, all.browser(t)
	c.other.get("/start")
	old := c.other.token()

	var returned, err, saved error
	change := func(r *http.Request, s *session.Session) {
		returned, err = of.do(r, s), s.Err()
		if save {
			saved = s.Save()
		}
	}
	var left *session.Session
	var inside *http.Request
	a.handle("/", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		left, inside = s, r
		if of.before != nil {
			of.before(s)
		}
		if in.arise != nil {
			in.arise(c, w, s)
		}
		if !in.late {
			change(r, s)
			io.WriteString(w, "done")
		}
	})
	if in.prepare != nil {
		in.prepare(c)
	}
	before := a.Stats()
	lines := len(a.log.lines("", ""))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c.hangUp = cancel
	r := httptest.NewRequestWithContext(ctx, "GET", "https://app.test/", nil)
	if !in.fresh {
		r.AddCookie(&http.Cookie{Name: cookie.DefaultName, Value: old})
	}
	created := c.half.created.Load()
	w := httptest.NewRecorder()
	a.router.ServeHTTP(w, r)
	if in.late {
		change(inside, left)
	}

	want := in.want(of)
	if save && errors.Is(want.save, session.ErrSuperseded) && of.class == endsSession && in.prepare == nil {
		want.status = 200 // the handler has the error, and responds as it likes
	}
	if w.Code != want.status {
		t.Errorf("the response is %d %q, want status %d", w.Code, w.Body, want.status)
	}
	got, token := "", ""
	for _, line := range w.Result().Cookies() {
		if got, token = "token", line.Value; line.MaxAge < 0 {
			got = "removal"
		}
	}
	a.saw(old, token)
	all.saw(old, token)
	if got != want.cookie {
		t.Errorf("the cookie is %q, want %q", got, want.cookie)
	}
	if !errors.Is(returned, want.returned) || (want.returned == nil) != (returned == nil) {
		if !(returned == nil && of.class == takesAtOnce) { // flash.Take returns none
			t.Errorf("the call returns %v, want %v", returned, want.returned)
		}
	}
	if !errors.Is(err, want.err) || (want.err == nil) != (err == nil) {
		t.Errorf("Err returns %v, want %v", err, want.err)
	}
	if save && (!errors.Is(saved, want.save) || (want.save == nil) != (saved == nil)) {
		if want.returned == nil || saved != nil { // an error that was returned is not told again
			t.Errorf("Save returns %v, want %v", saved, want.save)
		}
	}
	c.checkLog(want, lines, save)
	if got := counted(before, a.Stats()); got != want.count {
		t.Errorf("the counters moved: %q, want %q", got, want.count)
	}
	c.checkStore(of, want, old, token)
	if made := c.half.created.Load() - created; (made > 0) != (token != "" && idOf(t, token) != idOf(t, old)) {
		t.Errorf("%d new records, and the cookie is %q", made, got)
	}
}

// checkLog looks for the one line that is due.
func (c *cell) checkLog(want told, before int, save bool) {
	c.t.Helper()
	level, part, _ := strings.Cut(want.log, " ")
	var said []string
	for _, line := range c.a.log.lines("", "")[before:] {
		said = append(said, fmt.Sprint(line["level"], " ", line["msg"]))
	}
	due := slices.DeleteFunc(slices.Clone(said), func(line string) bool {
		return want.log == "" || !strings.HasPrefix(line, level) || !strings.Contains(line, part)
	})
	switch {
	case want.log == "" && slices.ContainsFunc(said, func(line string) bool { return !strings.HasPrefix(line, "DEBUG") }):
		c.t.Errorf("the log has %q, want nothing", said)
	case want.log != "" && len(due) == 0:
		c.t.Errorf("the log has %q, want a line %q", said, want.log)
	}
}

// checkStore looks at the session that there was, by the token that it has now.
func (c *cell) checkStore(of change, want told, old, token string) {
	c.t.Helper()
	state := c.look(c.other.token()) // it may have been renewed by the other request
	if token != "" && want.store == "done" {
		if of.class != setsCookie && c.look(old) != "" {
			c.t.Error("the old token is alive")
		}
		state = c.look(token)
	}
	kept := untouched
	if of.before != nil && !want.untaken {
		kept = strings.Replace(kept, "messages=1", "messages=0", 1)
	}
	switch {
	case want.store == "kept" && state != kept:
		c.t.Errorf("the session is %s, want %s", state, kept)
	case want.store == "done" && state != of.done:
		c.t.Errorf("the session is %s, want %s", state, of.done)
	case want.store == "gone" && state != "":
		c.t.Errorf("the session is %s, want none", state)
	}
	if want.cookie == "token" && c.look(token) == "" {
		c.t.Error("the cookie opens nothing")
	}
}

// look returns what a token opens, and "" for nothing. It also checks that the
// index by user has it.
func (c *cell) look(token string) string {
	c.t.Helper()
	if token == "" {
		return ""
	}
	b := c.other.app.browser(c.t)
	b.setToken(token)
	state := b.get("/look").body
	if state == "" {
		return ""
	}
	rec, err := c.half.Load(context.Background(), idOf(c.t, token))
	if err != nil {
		c.t.Fatal(err)
	}
	label := ""
	if rec.User != "" {
		infos, err := c.other.app.Sessions(context.Background(), rec.User)
		i := slices.IndexFunc(infos, func(i session.Info) bool { return i.ID == rec.ID.String() })
		if err != nil || i < 0 {
			c.t.Errorf("the index by user does not have the session: %v", err)
			return state
		}
		label = infos[i].Label
	}
	persist := rec.Data[1] & 6
	state = strings.Replace(state, "LABEL", fmt.Sprintf("%q", label), 1)
	return strings.Replace(state, "PERSIST", fmt.Sprint(persist), 1)
}

// A halfStore does a write in two parts, as a store does that has no index of
// its own: it enters the user into one, and stores the record. It can be made
// to do the second part alone, and say that it failed.
type halfStore struct {
	backend.Store

	mu    sync.Mutex
	index map[string]map[uuid.UUID]bool
	fail  int // how many writes fail so

	created atomic.Int64
}

func (h *halfStore) write(rec backend.Record, store func() error) error {
	h.mu.Lock()
	failing := h.fail > 0
	if failing {
		h.fail--
	} else {
		if h.index[rec.User] == nil {
			h.index[rec.User] = map[uuid.UUID]bool{}
		}
		h.index[rec.User][rec.ID] = true
	}
	h.mu.Unlock()
	if err := store(); err != nil {
		return err
	}
	if failing {
		return errTest
	}
	return nil
}

func (h *halfStore) Create(ctx context.Context, rec backend.Record) error {
	h.created.Add(1)
	return h.write(rec, func() error { return h.Store.Create(ctx, rec) })
}

func (h *halfStore) Update(ctx context.Context, rec backend.Record) error {
	return h.write(rec, func() error { return h.Store.Update(ctx, rec) })
}

func (h *halfStore) DeleteVersion(ctx context.Context, id uuid.UUID, version uint64) error {
	return backend.AbilitiesOf(h.Store).VersionedDeleter.DeleteVersion(ctx, id, version)
}

func (h *halfStore) ByUser(ctx context.Context, user string) ([]backend.Record, error) {
	h.mu.Lock()
	index := maps.Clone(h.index[user])
	h.mu.Unlock()
	var recs []backend.Record
	for id := range index {
		rec, err := h.Load(ctx, id)
		if err == nil && rec.User == user {
			recs = append(recs, rec)
		} else if err != nil && !errors.Is(err, backend.ErrNotFound) {
			return nil, err
		}
	}
	return recs, nil
}

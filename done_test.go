package session_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/backend/memory"
)

// told is how long the end of a session may take to be told of.
const told = 2 * time.Second

// A watching is one request that waits for the end of its session, and others
// beside it, which go through a manager of their own, as in another process.
type watching struct {
	*testing.T
	fault       *backendtest.Fault
	here, there *session.Manager
	login       *http.Cookie // of the session that is watched
	id          string
}

// watchingTest runs f in time that is not real, once with a store that compares many
// records at once, and once with one that has to load each.
func watchingTest(t *testing.T, f func(w *watching)) {
	for name, without := range map[string]backendtest.Capability{"compared": 0, "loaded": backendtest.Comparer} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner, err := memory.New(memory.Options{})
				if err != nil {
					t.Fatal(err)
				}
				fault := backendtest.NewFault(inner)
				have := (backendtest.Capabilities(inner) | backendtest.Bounded) & (backendtest.VersionedDeleter | backendtest.UserIndex | backendtest.Comparer | backendtest.Bounded)
				store := fault.StoreWith(have &^ without)
				w := &watching{T: t, fault: fault, here: manager(t, store), there: manager(t, store)}
				defer w.here.Close()
				defer w.there.Close()
				w.login = cookieOf(w.beside(nil, func(s *session.Session) {
					s.SetUser("ada")
					w.id = s.ID()
				}))
				f(w)
			})
		})
	}
}

// manager returns one of several that share a store.
func manager(t *testing.T, store backend.Store) *session.Manager {
	m, err := session.New(session.Config{Store: store, SweepEvery: -1, IdleTimeout: time.Hour, AbsoluteTimeout: 10 * time.Hour,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// beside makes a request to the other process.
func (w *watching) beside(cookie *http.Cookie, f func(*session.Session)) *http.Response {
	return request(w.there, cookie, f)
}

// within makes the request that watches.
func (w *watching) within(f func(*session.Session)) *http.Response {
	return request(w.here, w.login, f)
}

func request(m *session.Manager, cookie *http.Cookie, f func(*session.Session)) *http.Response {
	r := httptest.NewRequest(http.MethodPost, "https://example.org/", nil)
	if cookie != nil {
		r.AddCookie(cookie)
	}
	rec := httptest.NewRecorder()
	m.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { f(session.FromContext(r)) })).ServeHTTP(rec, r)
	return rec.Result()
}

// isClosed reports whether done is closed by now, or will be within d.
func isClosed(done <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
	}
	select { // at the very same time
	case <-done:
		return true
	default:
		return false
	}
}

func TestDoneEnds(t *testing.T) {
	ends := map[string]func(w *watching){
		"logout":            func(w *watching) { w.beside(w.login, (*session.Session).Destroy) },
		"revoked":           func(w *watching) { w.must(w.there.Revoke(w.Context(), w.id)) },
		"revoked user":      func(w *watching) { _, err := w.there.RevokeUser(w.Context(), "ada"); w.must(err) },
		"renewed":           func(w *watching) { w.beside(w.login, (*session.Session).Renew) },
		"another login":     func(w *watching) { w.beside(w.login, func(s *session.Session) { s.SetUser("bob") }) },
		"logout by SetUser": func(w *watching) { w.beside(w.login, func(s *session.Session) { s.SetUser("") }) },
		"idle":              func(w *watching) { time.Sleep(time.Hour) },
		"a shorter timeout": func(w *watching) {
			w.beside(w.login, func(s *session.Session) { s.SetIdleTimeout(time.Minute) })
			time.Sleep(time.Minute)
		},
		"the latest instant": func(w *watching) { w.useFor(9 * time.Hour); time.Sleep(time.Hour) },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			watchingTest(t, func(w *watching) {
				w.within(func(s *session.Session) {
					s.NoTouch()
					done := s.Done()
					if isClosed(done, time.Minute) {
						w.Error("Done is closed before the end")
					}
					end(w)
					if !isClosed(done, told) {
						w.Errorf("Done is open %v after the end", told)
					}
					if done != s.Done() {
						w.Error("Done is another channel afterwards")
					}
				})
			})
		})
	}
}

func (w *watching) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// useFor has the other process use the session every half an hour.
func (w *watching) useFor(d time.Duration) {
	for ; d > 0; d -= 30 * time.Minute {
		time.Sleep(30 * time.Minute)
		w.beside(w.login, func(s *session.Session) { s.User() })
	}
}

func TestDoneStaysOpen(t *testing.T) {
	acts := map[string]func(w *watching, s *session.Session){
		"for a while":        func(w *watching, s *session.Session) {},
		"another's change":   func(w *watching, s *session.Session) { w.beside(w.login, func(s *session.Session) { s.Set("n", 1) }) },
		"another's activity": func(w *watching, s *session.Session) { w.useFor(8 * time.Hour) },
		"a change":           func(w *watching, s *session.Session) { s.Set("n", 1); w.must(s.Save()) },
		"a renewal":          func(w *watching, s *session.Session) { s.Renew(); w.must(s.Save()) },
		"a login":            func(w *watching, s *session.Session) { s.SetUser("ada"); w.must(s.Save()) },
		"a longer timeout": func(w *watching, s *session.Session) {
			w.beside(w.login, func(s *session.Session) { s.SetIdleTimeout(2 * time.Hour) })
			time.Sleep(90 * time.Minute)
		},
		"the end of another": func(w *watching, s *session.Session) { w.beside(w.otherLogin(), (*session.Session).Destroy) },
		"an outage": func(w *watching, s *session.Session) {
			w.fault.On(backendtest.OpAny, backendtest.Always, backendtest.Fail(errors.New("no reply")))
			time.Sleep(2 * time.Hour)
		},
		"renewal in the outage": func(w *watching, s *session.Session) { w.fault.Lose(backendtest.OpUpdate, 1); s.Renew(); _ = s.Save() },
	}
	for name, act := range acts {
		t.Run(name, func(t *testing.T) {
			watchingTest(t, func(w *watching) {
				w.within(func(s *session.Session) {
					done := s.Done()
					act(w, s)
					if isClosed(done, time.Minute) {
						w.Error("Done is closed")
					}
				})
			})
		})
	}
}

// otherLogin logs in with another browser.
func (w *watching) otherLogin() *http.Cookie {
	return cookieOf(w.beside(nil, func(s *session.Session) { s.SetUser("ada") }))
}

// What ended during an outage is told when the store is back.
func TestDoneAfterOutage(t *testing.T) {
	watchingTest(t, func(w *watching) {
		w.within(func(s *session.Session) {
			done := s.Done()
			w.must(w.there.Revoke(w.Context(), w.id))
			for _, op := range []backendtest.Op{backendtest.OpLoad, backendtest.OpChanged} {
				w.fault.On(op, backendtest.Always, backendtest.Fail(errors.New("no reply")))
			}
			if isClosed(done, time.Minute) {
				w.Error("Done was closed by an error")
			}
			if n := w.here.Stats().Errors; n < 30 || n > 60 {
				w.Errorf("Stats.Errors = %d after a minute without the store", n)
			}
			w.fault.Reset()
			if !isClosed(done, told) {
				w.Errorf("Done is open %v after the outage", told)
			}
		})
	})
}

// A record that cannot be had, as from one of several machines, delays no other's
// end.
func TestDoneBesideAFailure(t *testing.T) {
	watchingTest(t, func(w *watching) {
		const streams = 50
		var open atomic.Int32
		var all sync.WaitGroup
		release := make(chan struct{})
		for range streams {
			all.Go(func() {
				request(w.here, w.otherLogin(), func(s *session.Session) {
					w.must(w.there.Revoke(w.Context(), s.ID()))
					open.Add(1)
					select {
					case <-s.Done():
						open.Add(-1)
					case <-release:
					}
				})
			})
		}
		synctest.Wait()
		var broken atomic.Pointer[uuid.UUID] // the first that a pass comes to
		w.fault.On(backendtest.OpLoad, backendtest.Always, func(_ context.Context, call backendtest.Call) error {
			broken.CompareAndSwap(nil, &call.ID)
			if call.ID == *broken.Load() {
				return errors.New("no reply")
			}
			return nil
		})
		time.Sleep(told)
		if n := open.Load(); n != 1 {
			w.Errorf("%d of %d streams are open %v after their ends, want the one that cannot be looked up", n, streams, told)
		}
		close(release)
		all.Wait()
	})
}

// A session is watched from when it is stored, and what its own request does to it
// is told at once.
func TestDoneOfItsOwnRequest(t *testing.T) {
	watchingTest(t, func(w *watching) {
		w.login = nil
		w.within(func(s *session.Session) {
			done := s.Done()
			if isClosed(done, time.Minute) {
				w.Fatal("Done of an anonymous visitor is closed")
			}
			s.SetUser("bob")
			w.must(s.Save())
			if isClosed(done, time.Minute) {
				w.Fatal("Done is closed after it was stored")
			}
			w.must(w.there.Revoke(w.Context(), s.ID()))
			if !isClosed(done, told) {
				w.Error("Done is open after the session, stored later, was revoked")
			}
		})
		for name, end := range map[string]func(*session.Session){
			"Destroy": (*session.Session).Destroy,
			"Reload": func(s *session.Session) {
				w.must(w.there.Revoke(w.Context(), s.ID()))
				if err := s.Reload(); !errors.Is(err, session.ErrDestroyed) {
					w.Errorf("Reload: %v", err)
				}
			},
		} {
			w.login = w.otherLogin()
			w.within(func(s *session.Session) {
				done := s.Done()
				end(s)
				if !isClosed(done, 0) || !isClosed(s.Done(), 0) {
					w.Errorf("Done is open after %s", name)
				}
			})
		}
	})
}

// Where there is no session, Done is closed: a stream ends at once, and not never.
func TestDoneWithoutSession(t *testing.T) {
	watchingTest(t, func(w *watching) {
		if !isClosed(session.FromCtx(context.Background()).Done(), 0) {
			w.Error("Done is open where there is no middleware")
		}
		var kept *session.Session
		var done <-chan struct{}
		w.within(func(s *session.Session) { kept, done = s, s.Done() })
		if !isClosed(done, 0) || !isClosed(kept.Done(), 0) {
			w.Error("Done is open after the handler returned")
		}
		old := w.login
		w.beside(old, (*session.Session).Renew)
		w.within(func(s *session.Session) {
			if !isClosed(s.Done(), 0) {
				w.Error("Done is open for a token that was replaced before")
			}
		})
		w.login = w.otherLogin()
		w.within(func(s *session.Session) {
			done := s.Done()
			w.must(w.here.Close())
			if !isClosed(done, 0) || !isClosed(s.Done(), 0) {
				w.Error("Done is open after the manager's Close")
			}
		})
	})
}

func TestDoneOfStart(t *testing.T) {
	watchingTest(t, func(w *watching) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.AddCookie(w.login)
		s, err := w.here.Start(httptest.NewRecorder(), r)
		w.must(err)
		done := s.Done()
		w.must(s.Release())
		if !isClosed(done, 0) {
			w.Error("Done is open after Release")
		}
		s, err = w.here.Start(httptest.NewRecorder(), r)
		w.must(err)
		defer s.Release()
		if done = s.Done(); isClosed(done, time.Minute) {
			w.Error("Done is closed of a session that was started again")
		}
		w.must(w.there.Revoke(w.Context(), w.id))
		if !isClosed(done, told) {
			w.Error("Done is open after it was revoked")
		}
	})
}

// One round trip a pass, however many streams there are; and none when all are gone.
func TestDoneAsksTogether(t *testing.T) {
	watchingTest(t, func(w *watching) {
		const streams = 300
		release := make(chan struct{})
		var all sync.WaitGroup
		for i := range streams {
			login := w.login
			if i%2 == 0 {
				login = w.otherLogin()
			}
			all.Go(func() { request(w.here, login, func(s *session.Session) { s.Done(); <-release }) })
		}
		synctest.Wait()
		w.fault.Reset()
		time.Sleep(time.Minute)
		calls := w.fault.Calls(backendtest.OpAny)
		if w.fault.Calls(backendtest.OpChanged) == 0 {
			calls /= streams
		}
		if calls < 38 || calls > 50 {
			w.Errorf("%d calls in a minute, want one in 1.25 to 1.5 seconds", calls)
		}
		close(release)
		all.Wait()
		w.fault.Reset()
		time.Sleep(time.Minute)
		if n := w.fault.Calls(backendtest.OpAny); n != 0 {
			w.Errorf("%d calls after the last stream is gone", n)
		}
	})
}

// ends are the ways in which a session that is watched here ends.
var ends = []func(w *watching, login *http.Cookie, s *session.Session, id string){
	func(w *watching, _ *http.Cookie, s *session.Session, id string) {
		s.Renew()
		w.must(s.Save())
		w.must(w.there.Revoke(w.Context(), id))
	},
	func(w *watching, login *http.Cookie, _ *session.Session, _ string) {
		w.beside(login, (*session.Session).Destroy)
	},
	func(w *watching, _ *http.Cookie, s *session.Session, id string) {
		go s.Destroy()
		w.must(w.there.Revoke(w.Context(), id))
	},
	func(w *watching, _ *http.Cookie, _ *session.Session, id string) {
		w.must(w.there.Revoke(w.Context(), id))
	},
}

// Streams come and go, and renew and destroy their sessions, while others end
// them: nothing deadlocks, and each stream that has an end is told of it.
func TestDoneHammer(t *testing.T) {
	watchingTest(t, func(w *watching) {
		var all sync.WaitGroup
		for i := range 60 {
			all.Go(func() {
				login := w.otherLogin()
				request(w.here, login, func(s *session.Session) {
					done, id := s.Done(), s.ID()
					time.Sleep(time.Duration(i) * 37 * time.Millisecond)
					if i%5 == 0 {
						return // of this one nothing ends
					}
					ends[i%5-1](w, login, s, id)
					if !isClosed(done, told) {
						w.Errorf("stream %d: Done is open %v after the end", i, told)
					}
				})
			})
		}
		all.Wait()
	})
}

// TestDoneOfAFailedLoad: a hook that runs while the session is loaded may ask for
// its Done. If the session cannot be loaded, no handler ends that; it must not be
// watched for ever.
func TestDoneOfAFailedLoad(t *testing.T) {
	for name, serve := range map[string]func(*session.Manager, *http.Request){
		"middleware": func(m *session.Manager, r *http.Request) {
			m.Middleware(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)
		},
		"Start": func(m *session.Manager, r *http.Request) {
			if _, err := m.Start(httptest.NewRecorder(), r); err == nil {
				t.Error("Start: no error")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inner, err := memory.New(memory.Options{})
			if err != nil {
				t.Fatal(err)
			}
			fault := backendtest.NewFault(inner)
			var done <-chan struct{}
			m, err := session.New(session.Config{Store: fault.Store(), Logger: slog.New(slog.DiscardHandler),
				On: func(ctx context.Context, e session.Event) {
					if e.Kind == session.EventUnavailable {
						done = session.FromCtx(ctx).Done()
					}
				}})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			res := request(m, nil, func(s *session.Session) { s.Set("k", 1) })
			fault.On(backendtest.OpLoad, backendtest.Always, backendtest.Fail(errors.New("down")))
			r := httptest.NewRequest("GET", "/", nil)
			r.AddCookie(res.Cookies()[0])
			serve(m, r)
			if done == nil || !isClosed(done, 0) {
				t.Errorf("the channel of Done (%v) is not closed", done)
			}
		})
	}
}

//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package file_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/file"
)

// A flushes lets the next flushes fail, and counts those that succeeded since.
type flushes struct {
	mu        sync.Mutex
	fail      int
	failed    int
	succeeded int // since the last failure
}

func (f *flushes) fault(step string) error {
	if !strings.HasPrefix(step, "fsync") {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail > 0 {
		f.fail--
		f.failed++
		f.succeeded = 0
		return errors.New("input/output error")
	}
	f.succeeded++
	return nil
}

func (f *flushes) set(fail int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail, f.failed, f.succeeded = fail, 0, 0
}

// TestFailedFlushIsNoSuccess sends requests that change a session while the
// disk cannot flush: for good, and only the first times. A response that says
// that all is well is true only if there was a flush after the last that
// failed; the others are errors, and none is lost: the same request succeeds
// when the disk is well.
func TestFailedFlushIsNoSuccess(t *testing.T) {
	store, err := file.New(t.TempDir()+"/sessions", file.Options{Sync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	m, err := session.New(session.Config{Store: store, Logger: slog.New(slog.DiscardHandler), SweepEvery: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	acts := map[string]func(s *session.Session){
		"start":   func(s *session.Session) { s.Set("k", "v") },
		"set":     func(s *session.Session) { s.Set("k", "w") },
		"grow":    func(s *session.Session) { s.Set("k", strings.Repeat("v", 10_000)) },
		"login":   func(s *session.Session) { s.SetUser("ann") },
		"renew":   func(s *session.Session) { s.Renew() },
		"shorten": func(s *session.Session) { s.SetIdleTimeout(5 * time.Minute) },
		"destroy": func(s *session.Session) { s.Destroy() },
	}
	handler := m.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r)
		if act := acts[r.URL.Path[1:]]; act != nil {
			act(s)
		}
		fmt.Fprint(w, s.User(), s.Get("k"))
	}))
	send := func(path string, token *string) (status int, body string) {
		r := httptest.NewRequest("POST", "https://shop.example/"+path, nil)
		if *token != "" {
			r.AddCookie(&http.Cookie{Name: "beegosessionID", Value: *token})
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		for _, c := range w.Result().Cookies() {
			if c.Name == "beegosessionID" {
				*token = c.Value
			}
		}
		return w.Code, w.Body.String()
	}
	const forGood = 1 << 30
	for act := range acts {
		if act == "start" {
			continue
		}
		for _, exists := range []bool{false, true} {
			if !exists && act != "set" && act != "grow" && act != "login" {
				continue
			}
			for _, fail := range []int{1, 2, 3, 4, forGood} {
				what := fmt.Sprintf("%s, session there: %v, %d flushes fail", act, exists, fail)
				var token string
				if exists {
					store.SetFault(nil)
					if status, _ := send("start", &token); status != 200 {
						t.Fatalf("%s: set before: status %d", what, status)
					}
				}
				before := token
				var disk flushes
				disk.set(fail)
				store.SetFault(disk.fault)
				status, _ := send(act, &token)
				switch {
				case disk.failed == 0:
					t.Errorf("%s: nothing was flushed", what)
				case status == 200 && disk.succeeded == 0:
					t.Errorf("%s: status 200, and no flush has succeeded since", what)
				case status != 200 && status != http.StatusServiceUnavailable:
					t.Errorf("%s: status %d, want 200 or 503", what, status)
				case status != 200 && token != before && act != "destroy": // which removes it in any case
					t.Errorf("%s: status %d, with a cookie", what, status)
				}
				disk.set(0)
				if status != 200 {
					if act == "destroy" {
						token = before
					}
					if status, _ := send(act, &token); status != 200 || act != "destroy" && disk.succeeded == 0 {
						t.Errorf("%s: again, on a sound disk: status %d after %d flushes", what, status, disk.succeeded)
					}
				}
				if act == "destroy" {
					if _, body := send("", &before); body != "<nil>" {
						t.Errorf("%s: after logout the session has %q", what, body)
					}
				}
			}
		}
	}
}

package faults

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/cookie"
)

var hostSkew = row{clocks, "two application hosts whose clocks are 30 minutes apart, each way, and two hours",
	"30 minutes: both serve the session and what the other has written, nobody is logged out; two hours (more than the idle timeout): it is served, or anonymous by the wrong clock, and nothing is lost for the right one"}

// testOwnClock has two managers share a store: one with the machine's clock,
// one in a bubble of package synctest, whose clock is wrong.
func testOwnClock(t *testing.T) {
	on(t, hostSkew, []kind{file, redis}, func(t *testing.T, k kind, note noter) {
		for _, skew := range []time.Duration{30 * time.Minute, -30 * time.Minute, 2 * time.Hour, -2 * time.Hour} {
			savePath := k.fresh(t)
			right := host(t, k, savePath)
			mine := right.visit(t, "", "/set?value=a")
			now := time.Now().Round(0) // without the monotonic clock
			synctest.Test(t, func(t *testing.T) {
				// The bubble's clock starts in 2000 and jumps while we sleep.
				time.Sleep(time.Until(now.Add(skew)))
				wrong := host(t, k, savePath)
				defer wrong.close(t)
				theirs := wrong.visit(t, "", "/set?value=b")
				got := wrong.visit(t, mine.token, "/get")
				if near := skew.Abs() < time.Hour; near && got.value != "a" {
					t.Errorf("clock %+v: a session of the right host is %+v", skew, got)
				} else if !near && got.value != "a" && (got.value != "" || got.status != 200) {
					t.Errorf("clock %+v: %+v", skew, got)
				}
				if got.value == "a" {
					wrong.visit(t, mine.token, "/set?value=c")
					mine.value = "c"
				}
				if near := skew.Abs() < time.Hour; near {
					got := right.visit(t, theirs.token, "/get")
					if got.value != "b" {
						t.Errorf("clock %+v: a session of the wrong host is %+v", skew, got)
					}
				}
			})
			if got := right.visit(t, mine.token, "/get"); got.value != mine.value {
				t.Errorf("clock %+v: the right host has %+v, want %q", skew, got, mine.value)
			}
			if got := right.visit(t, mine.token, "/set?value=d"); got.status != 200 || got.token != "" {
				t.Errorf("clock %+v: a write afterwards: %+v", skew, got)
			}
			right.close(t)
		}
	})
}

// A hosting is a manager with a handler, asked without a network.
type hosting struct {
	m *session.Manager
	h http.Handler
}

type visit struct {
	status       int
	value, token string
}

func host(t *testing.T, k kind, savePath string) *hosting {
	t.Helper()
	m, err := session.New(session.Config{Provider: k.name, SavePath: savePath, SweepEvery: -1, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	must(t, "New", err)
	return &hosting{m, m.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r)
		if strings.HasPrefix(r.URL.Path, "/set") {
			s.Set("value", r.FormValue("value"))
		}
		value, _ := session.Get[string](s, "value")
		io.WriteString(w, value)
	}))}
}

func (h *hosting) close(t *testing.T) {
	t.Helper()
	must(t, "Close", h.m.Close())
}

func (h *hosting) visit(t *testing.T, token, path string) visit {
	t.Helper()
	r := httptest.NewRequest("GET", "http://localhost"+path, nil)
	if token != "" {
		r.AddCookie(&http.Cookie{Name: cookie.DefaultName, Value: token})
	}
	w := httptest.NewRecorder()
	h.h.ServeHTTP(w, r)
	v := visit{status: w.Code, value: w.Body.String()}
	for _, c := range w.Result().Cookies() {
		v.token = c.Value
	}
	return v
}

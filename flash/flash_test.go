package flash_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/backend/memory"
	"github.com/chisession/session/flash"
)

// The behaviours of the package on every backend are in internal/behaviour, run by
// the root's tests. These are of its own rules.

// A client calls handlers with the session that earlier ones got.
type client struct {
	t       testing.TB
	manager *session.Manager
	cookie  *http.Cookie
}

func newClient(t testing.TB, cfg session.Config) *client {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	manager, err := session.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { manager.Close() })
	return &client{t: t, manager: manager}
}

// do runs h as a request's handler and returns the response's status.
func (c *client) do(h func(r *http.Request, s *session.Session)) int {
	c.t.Helper()
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
	if c.cookie != nil {
		r.AddCookie(c.cookie)
	}
	c.manager.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		h(r, session.FromContext(r))
	})).ServeHTTP(w, r)
	for _, cookie := range w.Result().Cookies() {
		c.cookie = cookie
	}
	return w.Code
}

// wantTaken takes in a request of its own.
func (c *client) wantTaken(want ...string) {
	c.t.Helper()
	c.do(func(r *http.Request, _ *session.Session) { wantMessages(c.t, flash.Take(r), want...) })
}

func wantMessages(t testing.TB, got flash.Messages, want ...string) {
	t.Helper()
	var lines []string
	for _, m := range got {
		lines = append(lines, fmt.Sprintf("%s:%s", m.Level, m))
	}
	if !slices.Equal(lines, want) {
		t.Errorf("messages are %q, want %q", lines, want)
	}
}

func TestLevels(t *testing.T) {
	c := newClient(t, session.Config{})
	c.do(func(r *http.Request, _ *session.Session) {
		flash.Success(r, "Saved %s.", "Ada")
		flash.Notice(r, "%d new", 3)
		flash.Warning(r, "100%% full")
		flash.Error(r, "%v", errors.New("no"))
		flash.Add(r, "dark: mode/ü\x00\xff", "on")
		flash.Add(r, "", "")
	})
	c.wantTaken("success:Saved Ada.", "notice:3 new", "warning:100% full", "error:no", "dark: mode/ü\x00\xff:on", ":")
}

func TestAnyBytes(t *testing.T) {
	c := newClient(t, session.Config{})
	texts := []string{"", "\x00", "\xff\xfe", "<script>alert(1)</script>", "日本語", strings.Repeat("x", 64<<10)}
	var want []string
	c.do(func(r *http.Request, _ *session.Session) {
		for _, text := range texts {
			flash.Notice(r, "%s", text)
			want = append(want, "notice:"+text)
		}
	})
	c.wantTaken(want...)
}

// Keys of the application that look alike are its own.
func TestForeignKeys(t *testing.T) {
	c := newClient(t, session.Config{})
	keys := []string{"_flash", "_flash:", "_flash:error", "_flash:0190b3c4-0000-7000-8000-000000000000", "flash",
		"_flash:0190b3c4-0000-7000-8000-000000000000error", "_flash:{0190b3c4-0000-7000-8000-00000000000:error"}
	const notText = "_flash:0190b3c4-0000-7000-8000-000000000000:error"
	c.do(func(_ *http.Request, s *session.Session) {
		for _, key := range keys {
			s.Set(key, "mine")
		}
		s.Set(notText, 7)
	})
	c.do(func(r *http.Request, s *session.Session) {
		wantMessages(t, flash.Peek(r))
		wantMessages(t, flash.Take(r))
		flash.Notice(r, "one")
		wantMessages(t, flash.Take(r), "notice:one")
		for _, key := range keys {
			if s.Get(key) != "mine" {
				t.Errorf("Get(%q) = %v, want mine", key, s.Get(key))
			}
		}
		if s.Get(notText) != 7 {
			t.Errorf("Get(%q) = %v, want 7", notText, s.Get(notText))
		}
	})
}

func TestSameRequest(t *testing.T) {
	store, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, session.Config{Store: store})
	c.do(func(r *http.Request, s *session.Session) {
		flash.Success(r, "at once")
		wantMessages(t, flash.Peek(r), "success:at once")
		wantMessages(t, flash.Take(r), "success:at once")
		wantMessages(t, flash.Take(r))
		wantMessages(t, flash.Peek(r))
		if s.Len() != 0 {
			t.Errorf("Len = %d, want 0", s.Len())
		}
	})
	if c.cookie != nil {
		t.Errorf("cookie %v: nothing was left to store", c.cookie)
	}
}

func TestSameRequestExisting(t *testing.T) {
	c := newClient(t, session.Config{})
	c.do(func(_ *http.Request, s *session.Session) { s.Set("k", 1) })
	c.do(func(r *http.Request, _ *session.Session) {
		flash.Success(r, "at once")
		wantMessages(t, flash.Take(r), "success:at once")
	})
	c.wantTaken()
}

func TestMaxMessages(t *testing.T) {
	c := newClient(t, session.Config{})
	c.do(func(r *http.Request, s *session.Session) {
		s.Set("mine", 1)
		for i := range flash.MaxMessages + 7 {
			flash.Notice(r, "%d", i)
		}
	})
	c.do(func(r *http.Request, s *session.Session) {
		got := flash.Take(r)
		if len(got) != flash.MaxMessages || got[0].Text != "7" {
			t.Errorf("%d messages from %v on, want %d from 7 on", len(got), got[0], flash.MaxMessages)
		}
		if s.Get("mine") != 1 {
			t.Error("a value of the application is gone")
		}
	})
}

func TestTakeStoresWhatElseChanged(t *testing.T) {
	c := newClient(t, session.Config{})
	c.do(func(r *http.Request, _ *session.Session) { flash.Notice(r, "x") })
	c.do(func(r *http.Request, s *session.Session) {
		s.Set("before", 1)
		wantMessages(t, flash.Take(r), "notice:x")
		s.Set("after", 2)
		flash.Notice(r, "y")
	})
	c.do(func(r *http.Request, s *session.Session) {
		if s.Get("before") != 1 || s.Get("after") != 2 {
			t.Errorf("before %v, after %v, want 1, 2", s.Get("before"), s.Get("after"))
		}
		wantMessages(t, flash.Take(r), "notice:y")
	})
}

// The reply to the taking write is lost: it knows its own write and shows the
// message, once.
func TestLostReply(t *testing.T) {
	inner, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	fault := backendtest.NewFault(inner)
	c := newClient(t, session.Config{Store: fault.Store()})
	c.do(func(r *http.Request, _ *session.Session) { flash.Notice(r, "x") })
	fault.Lose(backendtest.OpUpdate, 1)
	c.wantTaken("notice:x")
	c.wantTaken()
}

// A request that cannot be stored takes nothing.
func TestTakeWithUnstorableChange(t *testing.T) {
	c := newClient(t, session.Config{})
	c.do(func(r *http.Request, _ *session.Session) { flash.Notice(r, "x") })
	code := c.do(func(r *http.Request, s *session.Session) {
		s.Set("bad", make(chan int))
		messages, err := flash.Of(s).Take()
		var bad *session.ValueError
		if len(messages) != 0 || !errors.As(err, &bad) {
			t.Errorf("Take = %v, %v, want nothing and a *session.ValueError", messages, err)
		}
	})
	if code != http.StatusInternalServerError {
		t.Errorf("status %d, want 500", code)
	}
	c.wantTaken("notice:x")
}

// A message can be taken when the header has left: a template takes late.
func TestTakeAfterHeader(t *testing.T) {
	c := newClient(t, session.Config{})
	c.do(func(r *http.Request, _ *session.Session) { flash.Notice(r, "x") })
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
	r.AddCookie(c.cookie)
	c.manager.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "<html>")
		wantMessages(t, flash.Take(r), "notice:x")
	})).ServeHTTP(w, r)
	c.wantTaken()
}

// Many goroutines of one request use its flash.
func TestGoroutines(t *testing.T) {
	c := newClient(t, session.Config{})
	var mu sync.Mutex
	seen := map[string]int{}
	c.do(func(r *http.Request, _ *session.Session) { flash.Notice(r, "first") })
	c.do(func(r *http.Request, s *session.Session) {
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				flash.Notice(r, "stored %d", i)
				flash.Now(r, flash.LevelError, "now %d", i)
				flash.Peek(r)
				for _, m := range flash.Take(r) {
					mu.Lock()
					seen[m.Text]++
					mu.Unlock()
				}
			})
		}
		all.Wait()
		for _, m := range flash.Take(r) {
			seen[m.Text]++
		}
	})
	if len(seen) != 17 {
		t.Errorf("%d messages seen, want 17: %v", len(seen), seen)
	}
	for text, n := range seen {
		if n != 1 {
			t.Errorf("%q was shown %d times", text, n)
		}
	}
	c.wantTaken()
}

// Keep in a request that has logged out keeps nothing of the old session.
func TestKeepAcrossDestroy(t *testing.T) {
	c := newClient(t, session.Config{})
	c.do(func(r *http.Request, _ *session.Session) { flash.Notice(r, "old") })
	c.do(func(r *http.Request, s *session.Session) {
		flash.Keep(r)
		wantMessages(t, flash.Take(r), "notice:old")
		s.Destroy()
		flash.Keep(r)
		flash.Notice(r, "new")
		wantMessages(t, flash.Take(r), "notice:new")
	})
	c.wantTaken("notice:new")
	c.wantTaken()
}

func TestKeepSurvivesRenew(t *testing.T) {
	c := newClient(t, session.Config{})
	c.do(func(r *http.Request, _ *session.Session) { flash.Notice(r, "x") })
	c.do(func(r *http.Request, s *session.Session) {
		wantMessages(t, flash.Take(r), "notice:x")
		s.SetUser("ada")
		flash.Keep(r)
	})
	c.wantTaken("notice:x")
	c.wantTaken()
}

// Without a session nothing is kept, nothing is mixed up between requests, and
// nothing panics.
func TestNoSession(t *testing.T) {
	skip := func(*http.Request) bool { return true }
	c := newClient(t, session.Config{Skip: skip})
	for range 2 {
		c.do(func(r *http.Request, _ *session.Session) {
			wantMessages(t, flash.Take(r))
			wantMessages(t, flash.Peek(r))
			flash.Now(r, flash.LevelNotice, "now")
			flash.Notice(r, "stored")
			flash.Keep(r)
			wantMessages(t, flash.Take(r))
		})
	}
}

// While the store is down (Config.OnOutage), messages for this request show.
func TestOutage(t *testing.T) {
	inner, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	fault := backendtest.NewFault(inner)
	c := newClient(t, session.Config{Store: fault.Store(), OnOutage: session.OutageAnonymous})
	c.do(func(r *http.Request, _ *session.Session) { flash.Notice(r, "x") })
	fault.On(backendtest.OpLoad, backendtest.Always, backendtest.Fail(backend.ErrClosed))
	c.do(func(r *http.Request, s *session.Session) {
		flash.Now(r, flash.LevelWarning, "read only")
		messages, err := flash.Of(s).Take()
		wantMessages(t, messages, "warning:read only")
		if err != nil {
			t.Errorf("Take: %v", err)
		}
	})
	fault.Reset()
	c.wantTaken("notice:x")
}

func TestMap(t *testing.T) {
	m := flash.Messages{{"error", "a"}, {"notice", "b"}, {"error", "c"}}.Map()
	if got := m["error"].String(); got != "a\nc" {
		t.Errorf(`m["error"] = %q, want "a\nc"`, got)
	}
	if len(m) != 2 || len(m["warning"]) != 0 {
		t.Errorf("map is %v, want two levels", m)
	}
	if m := (flash.Messages)(nil).Map(); m == nil || len(m) != 0 {
		t.Errorf("map of none is %v, want an empty one", m)
	}
}

// asking is an argument that asks the flash while it is formatted.
type asking struct{ r *http.Request }

func (a asking) String() string {
	flash.Now(a.r, flash.LevelNotice, "inner")
	return strconv.Itoa(len(flash.Peek(a.r)))
}

// What is formatted into a message may ask the flash of the same request.
func TestArgumentsMayAsk(t *testing.T) {
	c := newClient(t, session.Config{})
	inTime(t, func() {
		c.do(func(r *http.Request, _ *session.Session) {
			flash.Now(r, flash.LevelNotice, "%v before", asking{r})
			wantMessages(t, flash.Take(r), "notice:inner", "notice:1 before")
		})
	})
}

// A logger that adds a message when a flash is used too late gets an end, and
// so does everybody else in the process.
func TestLoggerMayAdd(t *testing.T) {
	var late *http.Request
	lines := 0
	c := newClient(t, session.Config{Logger: slog.New(onLine(func() {
		if lines++; lines == 1 {
			flash.Now(late, flash.LevelError, "logged")
			flash.Take(late)
		}
	}))})
	inTime(t, func() {
		c.do(func(r *http.Request, _ *session.Session) { late = r })
		lines = 0
		flash.Now(late, flash.LevelError, "too late")
	})
	if lines == 0 {
		t.Error("nothing is logged: this tests nothing")
	}
}

// onLine is a log handler that is called for each line.
type onLine func()

func (f onLine) Enabled(context.Context, slog.Level) bool  { return true }
func (f onLine) Handle(context.Context, slog.Record) error { f(); return nil }
func (f onLine) WithAttrs([]slog.Attr) slog.Handler        { return f }
func (f onLine) WithGroup(string) slog.Handler             { return f }

// inTime fails the test if f waits for itself.
func inTime(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("it hangs")
	}
}

// A response that goes on for long may take any number of messages. It keeps no
// more than a session may hold, and those are the newest.
func TestKeepIsBounded(t *testing.T) {
	c := newClient(t, session.Config{})
	const taken = 5 * flash.MaxMessages
	c.do(func(r *http.Request, _ *session.Session) {
		for i := range taken {
			flash.Notice(r, "%d", i)
			wantMessages(t, flash.Take(r), fmt.Sprintf("notice:%d", i))
		}
		flash.Keep(r)
		wantMessages(t, flash.Take(r))
	})
	var want []string
	for i := taken - flash.MaxMessages; i < taken; i++ {
		want = append(want, fmt.Sprintf("notice:%d", i))
	}
	c.wantTaken(want...)
	c.wantTaken()
}

// TestLoginThatLostItsRecord: of two logins with one cookie the later one goes on
// in a new session with what it had loaded. The message is the first one's.
func TestLoginThatLostItsRecord(t *testing.T) {
	first := newClient(t, session.Config{})
	first.do(func(r *http.Request, _ *session.Session) { flash.Notice(r, "hello") })
	second := *first
	second.do(func(r *http.Request, s *session.Session) {
		flash.Peek(r) // it has loaded the message
		first.do(func(_ *http.Request, s *session.Session) { s.SetUser("ada") })
		s.SetUser("ada")
		wantMessages(t, flash.Take(r))
	})
	first.wantTaken("notice:hello")
	first.wantTaken()
}

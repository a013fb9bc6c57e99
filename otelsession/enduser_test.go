package otelsession_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/otelsession"
)

// endUser is a span processor that says of each span who the user is, as people
// write it: it asks the session in the context that the span begins in.
type endUser struct{}

func (endUser) OnStart(ctx context.Context, span sdktrace.ReadWriteSpan) {
	id, user := session.Identity(ctx)
	span.SetAttributes(attribute.String("session.id", id), attribute.String("enduser.id", user))
	if s := session.FromCtx(ctx); s.User() != user {
		span.SetAttributes(attribute.String("enduser.id", "not "+user))
	}
}
func (endUser) OnEnd(sdktrace.ReadOnlySpan)      {}
func (endUser) Shutdown(context.Context) error   { return nil }
func (endUser) ForceFlush(context.Context) error { return nil }

// userLines is a log handler that adds the user to each line.
type userLines struct{ slog.Handler }

func (h userLines) Handle(ctx context.Context, r slog.Record) error {
	if s, ok := session.Lookup(ctx); ok {
		r.AddAttrs(slog.String("user", s.User()), slog.String("session", s.ID()))
	}
	return h.Handler.Handle(ctx, r)
}

// TestSpansSayWhoTheUserIs: a login's spans have its user, and neither the
// login nor anybody else waits for the one who asks.
func TestSpansSayWhoTheUserIs(t *testing.T) {
	for _, bounded := range []bool{false, true} {
		t.Run(fmt.Sprintf("bounded=%v", bounded), func(t *testing.T) {
			inner, lines := newStore(t), &bytes.Buffer{}
			fault := backendtest.NewFault(inner)
			have := backendtest.UserIndex | backendtest.VersionedDeleter
			if bounded {
				have |= backendtest.Bounded
			}
			spans := tracetest.NewInMemoryExporter()
			provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(endUser{}), sdktrace.WithSyncer(spans))
			t.Cleanup(func() { provider.Shutdown(context.Background()) })
			m, err := session.New(session.Config{
				Store: fault.StoreWith(have), SweepEvery: -1, MaxPerUser: 2,
				WrapStore: func(store backend.Store) backend.Store {
					return otelsession.Wrap(store, otelsession.Options{TracerProvider: provider})
				},
				Logger: slog.New(userLines{slog.NewTextHandler(lines, nil)}),
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { m.Close() })
			login := m.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				s := session.FromContext(r)
				s.SetUser(r.FormValue("user"))
				s.Set("n", make(map[string]int))
			}))
			visit := func(user, cookie string) *httptest.ResponseRecorder {
				t.Helper()
				return returns(t, user, login, "https://app.test/?user="+user, cookie)
			}

			first := visit("ada", "")
			again := visit("ada", cookieOf(first))
			if first.Code != http.StatusOK || again.Code != http.StatusOK || cookieOf(again) == "" || cookieOf(again) == cookieOf(first) {
				t.Errorf("the logins get %d and %d, want 200 and another token each", first.Code, again.Code)
			}
			for _, span := range spans.GetSpans() {
				got := attribute.NewSet(span.Attributes...)
				user, _ := got.Value("enduser.id")
				if want := map[bool]string{true: "", false: "ada"}[span.Name == "load session"]; user.AsString() != want {
					t.Errorf("%s: enduser.id is %q, want %q", span.Name, user.AsString(), want)
				}
			}

			// While ada's login is at the store, everybody else goes on.
			gate := fault.Gate(backendtest.OpUpdate, backendtest.AtCall)
			done := make(chan *httptest.ResponseRecorder)
			go func() { done <- serve(login, "https://app.test/?user=ada", cookieOf(again)) }()
			<-gate.Reached()
			for i := range 8 {
				if got := visit(fmt.Sprint("user", i), ""); got.Code != http.StatusOK {
					t.Errorf("beside a login that is at the store, another gets %d", got.Code)
				}
			}
			gate.Release()
			if got := <-done; got.Code != http.StatusOK {
				t.Errorf("the login that was at the store gets %d", got.Code)
			}

			// A line of a failed store has the user, too.
			fault.On(backendtest.OpAny, backendtest.Always, backendtest.Fail(errors.New("down")))
			visit("bob", "")
			if text := lines.String(); !strings.Contains(text, "user=bob") {
				t.Errorf("the log does not say who it was: %s", text)
			}
		})
	}
}

// returns serves a request, which must not take long.
func returns(t *testing.T, what string, h http.Handler, target, cookie string) *httptest.ResponseRecorder {
	t.Helper()
	done := make(chan *httptest.ResponseRecorder, 1)
	go func() { done <- serve(h, target, cookie) }()
	select {
	case w := <-done:
		return w
	case <-time.After(time.Minute):
		t.Fatalf("the request of %s never returns", what)
		return nil
	}
}

func serve(h http.Handler, target, cookie string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", target, nil)
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// cookieOf returns what a browser would send next.
func cookieOf(w *httptest.ResponseRecorder) string {
	for _, c := range w.Result().Cookies() {
		return c.Name + "=" + c.Value
	}
	return ""
}

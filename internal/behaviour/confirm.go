package behaviour

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
)

// confirmCases are about stores that wait until other servers have what was
// written.
var confirmCases = []behaviour{
	each("a logout that the replicas refuse is an error", logoutRefused),
	each("a logout that no replica confirms is an error", logoutUnconfirmed),
	once("a logout is confirmed by repeating it", logoutConfirmedByRepeating),
	once("the logout of a stranger confirms nothing", strangersLogout),
	each("a login is written again until it is confirmed", loginUnconfirmed),
	once("Revoke and RevokeUser wait for the replicas", revokeUnconfirmed),
}

// newConfirmingStage starts an app whose store waits for other servers.
func newConfirmingStage(t *testing.T, store backend.Store) *app {
	t.Helper()
	a := newAppWith(t, session.Config{Store: store}, backendtest.Capabilities(store)|backendtest.Confirmer)
	a.play(nil)
	return a
}

// logoutRefused: the store finds that its replicas do not follow,
// and does nothing. The response is 503, the user is still logged in, and the
// next logout works.
func logoutRefused(t *testing.T, k Kind) {
	a := newConfirmingStage(t, k.open(t))
	b := a.browser(t)
	b.get("/login").want200(t)
	a.calls.On(backendtest.OpDeleteVersion, 100, backendtest.Fail(backend.ErrNotReplicated))
	if got := b.get("/logout"); got.status != http.StatusServiceUnavailable || len(got.setCookie) > 0 {
		t.Errorf("a logout that the replicas did not get: status %d, cookies %q; want 503 and none", got.status, got.setCookie)
	}
	a.calls.Reset()
	b.wantState(`"ada"`)
	b.get("/logout").want200(t)
	b.wantState("none")
	if n := a.records(t); n != 0 {
		t.Errorf("%d records are left, want none", n)
	}
}

// logoutUnconfirmed: the record goes, but no replica says so. Nobody is told
// "logged out" before a call that waits has said that it is gone: neither this
// request, nor the next one, which finds no session.
func logoutUnconfirmed(t *testing.T, k Kind) {
	a := newConfirmingStage(t, k.open(t))
	b := a.browser(t)
	b.get("/login").want200(t)
	a.calls.Unconfirmed(backendtest.OpDeleteVersion, 100)
	a.calls.Unconfirmed(backendtest.OpDelete, 100)
	for try := range 3 { // the second and third find no session
		if got := b.get("/logout"); got.status != http.StatusServiceUnavailable || len(got.setCookie) > 0 {
			t.Errorf("logout %d: status %d, cookies %q; want 503 and none", try, got.status, got.setCookie)
		}
	}
	a.calls.Reset()
	got := b.get("/logout").want200(t)
	if n := a.calls.Calls(backendtest.OpDelete); n != 1 || len(got.setCookie) != 1 {
		t.Errorf("the logout that worked made %d Deletes and sent the cookies %q; want 1 and the removal", n, got.setCookie)
	}
	b.wantState("none")
}

// logoutConfirmedByRepeating: once is no matter, and a lost reply is the same
// as one that says too few: what confirms is a call that waits.
func logoutConfirmedByRepeating(t *testing.T) {
	for name, spoil := range map[string]func(*backendtest.Fault){
		"unconfirmed": func(f *backendtest.Fault) { f.Unconfirmed(backendtest.OpDeleteVersion, 1) },
		"lost reply":  func(f *backendtest.Fault) { f.Lose(backendtest.OpDeleteVersion, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			a := newConfirmingStage(t, newMemory(t))
			b := a.browser(t)
			b.get("/login").want200(t)
			spoil(a.calls)
			b.get("/logout").want200(t)
			if n := a.calls.Calls(backendtest.OpDelete); n != 1 {
				t.Errorf("%d Deletes confirm that the record is gone, want 1", n)
			}
		})
	}
}

// strangersLogout: only a token whose record is not there is
// reason for a Delete. One that knows a public ID ends nobody's session.
func strangersLogout(t *testing.T) {
	a := newConfirmingStage(t, newMemory(t))
	b := a.browser(t)
	b.get("/login").want200(t)
	r := b.request("GET", "/logout")
	forged := []byte(b.token())
	for i := range forged[40:] {
		forged[40+i] = 'A'
	}
	stranger := a.browser(t)
	r.AddCookie(&http.Cookie{Name: a.name, Value: string(forged)})
	r.AddCookie(&http.Cookie{Name: a.name, Value: UnknownToken()})
	stranger.do(r)
	r = b.request("GET", "/logout")
	r.AddCookie(&http.Cookie{Name: a.name, Value: UnknownToken()})
	r.AddCookie(&http.Cookie{Name: a.name, Value: string(forged)})
	a.browser(t).do(r)
	b.wantState(`"ada"`)
}

// loginUnconfirmed: a login is written again until a call has confirmed it;
// without that the client gets an error and no token.
func loginUnconfirmed(t *testing.T, k Kind) {
	for _, isNew := range []bool{true, false} {
		for _, times := range []int{1, 100} {
			a := newConfirmingStage(t, k.open(t))
			a.calls.Before = func(_ context.Context, call backendtest.Call) error {
				if call.Record.User != "" && !call.Record.Confirm {
					t.Errorf("new %v: a login was written by a %s that need not wait", isNew, call.Op)
				}
				return nil
			}
			b := a.browser(t)
			if !isNew {
				b.get("/start").want200(t)
			}
			a.calls.Unconfirmed(backendtest.OpCreate, times)
			a.calls.Unconfirmed(backendtest.OpUpdate, times)
			got := b.get("/login")
			if ok := got.status == http.StatusOK; ok != (times == 1) || ok != (got.session != "") {
				t.Errorf("new %v, %d times unconfirmed: status %d, a token: %v", isNew, times, got.status, got.session != "")
			}
		}
	}
}

// revokeUnconfirmed: what ends sessions from outside keeps to the same rule.
func revokeUnconfirmed(t *testing.T) {
	a := newConfirmingStage(t, newMemory(t))
	b := a.browser(t)
	b.get("/login").want200(t)
	a.calls.Unconfirmed(backendtest.OpDeleteVersion, 1)
	if n, err := a.RevokeUser(t.Context(), "ada"); n != 1 || err != nil || a.calls.Calls(backendtest.OpDelete) != 1 {
		t.Errorf("RevokeUser, unconfirmed once: %d, %v; want 1, after a Delete", n, err)
	}
	b.wantState("none")
	b.get("/login").want200(t)
	id := idOf(t, b.token()).String()
	a.calls.Unconfirmed(backendtest.OpDelete, 100)
	a.calls.Unconfirmed(backendtest.OpDeleteVersion, 1)
	if n, err := a.RevokeUser(t.Context(), "ada"); n != 0 || !errors.Is(err, backend.ErrNotReplicated) || !strings.Contains(err.Error(), id) {
		t.Errorf("RevokeUser, never confirmed: %d, %v; want ErrNotReplicated and the ID", n, err)
	}
	if err := a.Revoke(t.Context(), id); !errors.Is(err, backend.ErrNotReplicated) {
		t.Errorf("Revoke, not confirmed: %v", err)
	}
	a.calls.Reset()
	if err := a.Revoke(t.Context(), id); err != nil {
		t.Errorf("Revoke, confirmed: %v", err)
	}
}

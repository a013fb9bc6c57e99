package devicebound_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/backend/file"
	"github.com/chisession/session/cookie"
	"github.com/chisession/session/devicebound"
	"github.com/chisession/session/sessiontest"
)

// inTime runs a test on a clock of its own.
func inTime(t *testing.T, test func(t *testing.T)) { synctest.Test(t, test) }

// calls returns what f costs the store: reads, and everything else.
func (s *site) calls(f func()) (reads, others int) {
	s.fault.Reset()
	f()
	reads = s.fault.Calls(backendtest.OpLoad)
	return reads, s.fault.Calls(backendtest.OpAny) - reads
}

// TestStoreCalls: a bound session costs what any other does, its binding a read and
// a write once, a new proof two reads.
func TestStoreCalls(t *testing.T) { inTime(t, storeCalls) }

func storeCalls(t *testing.T) {
	s := newSite(t, devicebound.Options{})
	b := s.browser(t)
	plain := s.thief(b)
	expect := func(what string, wantReads, wantOthers int, f func()) {
		t.Helper()
		if reads, others := s.calls(f); reads != wantReads || others != wantOthers {
			t.Errorf("%s: %d reads and %d others, want %d and %d", what, reads, others, wantReads, wantOthers)
		}
	}
	expect("a login without a device", 0, 1, func() { plain.do("GET", "/login?user=bob") })
	expect("a login, and to bind it", 0+1, 1+1, func() { b.do("GET", "/login?user=ada") })
	expect("a page", 1, 0, func() { b.gets("/", "ada bound=true") })
	time.Sleep(30 * time.Second)
	expect("another login in it", 1, 1, func() { b.do("GET", "/login?user=ada") })
	expect("a renewal", 1, 1, func() { b.do("GET", "/renew") })
	b.dropProof()
	time.Sleep(25 * time.Second)
	expect("a new proof, and a page", 2+1, 0, func() { b.gets("/", "ada bound=true") })
	expect("a logout", 1, 1, func() { b.do("GET", "/logout") })
	if b.cookie(sidName) != "" || b.cookie(proofName) != "" {
		t.Error("a logout leaves cookies")
	}
}

// TestThief: the cookies of a bound session are worth nothing without its device,
// once the proof that was copied with them is over; whoever tries sets off the alarm.
func TestThief(t *testing.T) { inTime(t, thief) }

func thief(t *testing.T) {
	s := newSite(t, devicebound.Options{}, func(c *session.Config) {
		c.Transport = session.FirstOf(session.HeaderTransport("X-Session-Token"), session.BearerTransport(), session.Transport{})
	})
	b := s.login(t)
	if s.thief(b, sidName).gets("/", "ada bound=true"); s.alarms() != nil { // what was just bound needs no proof yet
		t.Error("an alarm, while other requests of the browser may still be on their way")
	}
	time.Sleep(10 * time.Second)
	alone, both := s.thief(b, sidName), s.thief(b, sidName, proofName)
	token, nobody := b.cookie(sidName), s.thief(b)
	for how, header := range map[string][]string{
		"cookie": {}, "header": {"X-Session-Token", token}, "bearer": {"Authorization", "Bearer " + token}, "POST": {},
	} {
		client, method := nobody, "GET"
		if len(header) == 0 {
			client = alone
		}
		if how == "POST" {
			method = "POST"
		}
		if _, body := client.do(method, "/", header...); body != " bound=false" {
			t.Errorf("%s: the thief gets %q", how, body)
		}
		if got := s.alarms(); len(got) != 1 || got[0] != "ada" {
			t.Errorf("%s: alarms %q, want one of ada's", how, got)
		}
		r := httptest.NewRequest(method, origin, nil)
		r.AddCookie(&http.Cookie{Name: sidName, Value: token})
		if sess, err := s.m.Start(httptest.NewRecorder(), r); err != nil || sess.User() != "" || len(s.alarms()) != 1 {
			t.Errorf("Start gives the thief %q's session, %v", sess.User(), err)
		}
	}
	if res, _ := alone.do("POST", "/login?user=mallory"); len(res.Cookies()) != 1 {
		t.Error("who is refused cannot log in")
	}
	s.alarms()

	both.gets("/", "ada bound=true") // for as long as the proof is good
	for range 11 {
		time.Sleep(time.Minute)
		b.gets("/", "ada bound=true") // which is what the user goes on with
	}
	both.gets("/", " bound=false")
	if got := s.alarms(); len(got) != 1 {
		t.Errorf("alarms %q, want one", got)
	}
}

// TestThiefWithKey: a key of one's own does not help.
func TestThiefWithKey(t *testing.T) { inTime(t, thiefWithKey) }

func thiefWithKey(t *testing.T) {
	s := newSite(t, devicebound.Options{})
	b := s.login(t)
	id := s.onlySession("ada")
	both, key := s.thief(b, sidName, proofName), newES256(t)
	res, _ := both.do("POST", "/session-device/refresh", "Sec-Secure-Session-Id", id)
	challenge := challengeOf(t, res.Header.Get("Secure-Session-Challenge"))
	if res, _ := both.do("POST", "/session-device/refresh", "Sec-Secure-Session-Id", id, "Secure-Session-Response", key.token(challenge, false)); res.StatusCode != http.StatusForbidden || len(res.Cookies()) > 0 {
		t.Errorf("a challenge that another key has signed: status %d, cookies %v", res.StatusCode, res.Cookies())
	}
	for _, c := range []string{challenge, "", b.cookie(proofName)} {
		if res, _ := both.do("POST", "/session-device/bind", "Secure-Session-Response", key.token(c, true)); res.StatusCode != http.StatusForbidden || len(res.Cookies()) > 0 {
			t.Errorf("another key for a bound session: status %d, cookies %v", res.StatusCode, res.Cookies())
		}
	}
	time.Sleep(devicebound.DefaultLifetime)
	b.gets("/", "ada bound=true")
}

// TestThiefOfAnUnboundSession: whoever has the cookie of a session that is not bound,
// as of a browser that cannot, can make an offer and bind it to a key of their own;
// not for longer than a browser might, though, since that logs the user out.
func TestThiefOfAnUnboundSession(t *testing.T) { inTime(t, thiefOfAnUnboundSession) }

func thiefOfAnUnboundSession(t *testing.T) {
	for after, want := range map[time.Duration]int{
		time.Minute: http.StatusOK, 5*time.Minute - time.Millisecond: http.StatusOK,
		5 * time.Minute: http.StatusForbidden, 30 * time.Minute: http.StatusForbidden,
	} {
		s := newSite(t, devicebound.Options{})
		b := s.browser(t)
		b.client.Transport = s // without the device
		b.gets("/login?user=ada", "ada bound=false")
		time.Sleep(after)
		thief := s.thief(b, sidName)
		offer := forgedOffer(t, thief.cookie(sidName), s.onlySession("ada"))
		res, _ := thief.do("POST", "/session-device/bind", "Secure-Session-Response", newES256(t).token(offer, true))
		if res.StatusCode != want {
			t.Errorf("%v after the login: status %d, want %d", after, res.StatusCode, want)
		}
		if want != http.StatusOK {
			b.gets("/", "ada bound=false")
		}
	}
}

// onlySession returns the ID of the user's only session.
func (s *site) onlySession(user string) string {
	s.Helper()
	infos, err := s.m.Sessions(s.Context(), user)
	if err != nil || len(infos) != 1 {
		s.Fatalf("%s has %d sessions, %v", user, len(infos), err)
	}
	return infos[0].ID
}

// TestLinkFromAnotherSite: the browser follows it without a proof. The page that it
// gets instead loads itself, and then there is one.
func TestLinkFromAnotherSite(t *testing.T) { inTime(t, linkFromAnotherSite) }

func linkFromAnotherSite(t *testing.T) {
	s := newSite(t, devicebound.Options{})
	b := s.login(t)
	time.Sleep(devicebound.DefaultLifetime)
	for _, from := range []string{"cross-site", "same-site"} {
		res, body := b.do("GET", "/", "Sec-Fetch-Site", from, "Sec-Fetch-Mode", "navigate")
		if res.StatusCode != http.StatusUnauthorized || len(res.Cookies()) > 0 || !strings.Contains(body, `http-equiv="refresh"`) || strings.Contains(body, "script") || res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: status %d, cookies %v, header %v, body %s", from, res.StatusCode, res.Cookies(), res.Header, body)
		}
		if res, body := b.do("GET", "/", "Sec-Fetch-Site", from, "Sec-Fetch-Mode", "no-cors"); res.StatusCode != http.StatusUnauthorized || strings.Contains(body, "refresh") {
			t.Errorf("an image: status %d, body %s", res.StatusCode, body)
		}
	}
	r := httptest.NewRequest("GET", origin, nil)
	r.AddCookie(&http.Cookie{Name: sidName, Value: b.cookie(sidName)})
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	w := httptest.NewRecorder()
	if _, err := s.m.Start(w, r); !errors.Is(err, session.ErrUnproven) {
		t.Errorf("Start: %v, want ErrUnproven", err)
	}
	if s.binding.ServeHTTP(w, r); w.Code != http.StatusUnauthorized || !strings.Contains(w.Body.String(), "http-equiv") {
		t.Errorf("the binding serves status %d, %s", w.Code, w.Body)
	}
	if got := s.alarms(); got != nil {
		t.Errorf("alarms %q", got)
	}
	b.gets("/", "ada bound=true")
}

// TestPostFromAnotherOrigin: the browser sends it without a proof, too. It cannot be
// let in; but it sets off no alarm, and only a login or a logout takes the
// place of the user's session.
func TestPostFromAnotherOrigin(t *testing.T) { inTime(t, postFromAnotherOrigin) }

func postFromAnotherOrigin(t *testing.T) {
	for site, sameSite := range map[string]http.SameSite{"same-site": http.SameSiteLaxMode, "cross-site": http.SameSiteNoneMode} {
		for path, want := range map[string]struct {
			status   int
			body     string
			replaced bool
		}{
			"/":               {http.StatusOK, " bound=false", false},
			"/set":            {http.StatusForbidden, "Forbidden\n", false},
			"/login?user=":    {http.StatusOK, " bound=false", false},
			"/login?user=ada": {http.StatusOK, "ada bound=false", true},
			"/logout":         {http.StatusOK, " bound=false", true},
		} {
			s := newSite(t, devicebound.Options{}, func(c *session.Config) {
				c.Cookie.SameSite, c.Logger = sameSite, slog.New(slog.DiscardHandler)
			})
			b := s.login(t)
			time.Sleep(devicebound.DefaultLifetime)
			before := b.cookie(sidName)
			res, body := b.do("POST", path, "Sec-Fetch-Site", site, "Sec-Fetch-Mode", "navigate")
			if res.StatusCode != want.status || body != want.body || (b.cookie(sidName) != before) != want.replaced {
				t.Errorf("%s, POST %s: status %d, %q, cookies %v; want %+v", site, path, res.StatusCode, body, res.Cookies(), want)
			}
			if got := s.alarms(); got != nil {
				t.Errorf("%s, POST %s: alarms %q", site, path, got)
			}
			if !want.replaced {
				b.gets("/", "ada bound=true")
			}
		}
	}
}

// TestStaleProof: a proof that is none, and is there, is taken away, since a browser
// renews only what it has not.
func TestStaleProof(t *testing.T) { inTime(t, staleProof) }

func staleProof(t *testing.T) {
	s := newSite(t, devicebound.Options{})
	b := s.login(t)
	time.Sleep(2 * time.Minute)
	b.jar.SetCookies(b.url(), []*http.Cookie{{Name: proofName, Value: "nonsense", Path: "/", Secure: true}})
	res, _ := b.do("GET", "/", "Sec-Fetch-Mode", "navigate")
	if res.StatusCode != http.StatusUnauthorized || b.cookie(proofName) != "" || b.cookie(sidName) == "" {
		t.Errorf("status %d, proof %q", res.StatusCode, b.cookie(proofName))
	}
	b.gets("/", "ada bound=true")
}

// TestLoginThatEndsAcrossSites: with the response to a navigation of another site,
// such as the end of an OAuth login, the browser would register without the Lax
// cookie. The next page of the user's own offers it, and nothing else does.
func TestLoginThatEndsAcrossSites(t *testing.T) { inTime(t, loginThatEndsAcrossSites) }

func loginThatEndsAcrossSites(t *testing.T) {
	s := newSite(t, devicebound.Options{})
	offered := func(what string, want bool, path string, header ...string) {
		t.Helper()
		b := s.browser(t)
		b.client.Transport = s // without the device, to look
		b.do("GET", "/login?user=ada", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate")
		if what == "late" {
			time.Sleep(3 * time.Minute)
		}
		res, _ := b.do("GET", path, header...)
		if got := res.Header.Get("Secure-Session-Registration") != ""; got != want {
			t.Errorf("%s: offered: %t, want %t", what, got, want)
		}
	}
	offered("the login itself", false, "/login?user=ada", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate")
	offered("a login from a sibling", false, "/login?user=ada", "Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "navigate")
	offered("another page from there", false, "/", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate")
	offered("a click", true, "/", "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate")
	offered("a script's request", false, "/", "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors")
	offered("late", false, "/", "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate")

	b := s.browser(t)
	b.do("GET", "/login?user=ada", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate")
	b.do("GET", "/", "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate")
	b.gets("/", "ada bound=true")
}

// TestRefreshEndsOnlyWhatIsOver: a browser gives a key up for any status from 300 to
// 499 but 403, so only what is over may have one.
func TestRefreshEndsOnlyWhatIsOver(t *testing.T) {
	for name, how := range map[string]struct {
		change func(*session.Config)
		during func(s *site, b *browser)
		id     string
		want   int
	}{
		"no proof":          {want: http.StatusForbidden},
		"quoted ID":         {id: `"`, want: http.StatusForbidden},
		"another session":   {id: "01890a5d-ac96-774b-bcce-b302099a8057", want: http.StatusNotFound},
		"logged out":        {during: func(s *site, b *browser) { s.m.RevokeUser(b.Context(), "ada") }, want: http.StatusNotFound},
		"replaced just now": {during: func(s *site, b *browser) { s.thief(b, sidName, proofName).do("GET", "/renew") }, want: http.StatusServiceUnavailable},
		"outage":            {during: down, want: http.StatusServiceUnavailable},
		"outage, with a page of the program's": {change: func(c *session.Config) {
			c.ErrorHandler = func(w http.ResponseWriter, r *http.Request, _ error) { http.Redirect(w, r, "/sorry", http.StatusFound) }
		}, during: down, want: http.StatusServiceUnavailable},
		"outage that pages go on in": {change: func(c *session.Config) { c.OnOutage = session.OutageAnonymous }, during: down, want: http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(t *testing.T) {
				change := how.change
				if change == nil {
					change = func(*session.Config) {}
				}
				s := newSite(t, devicebound.Options{}, change)
				b := s.login(t)
				id := s.onlySession("ada")
				switch how.id {
				case "":
				case `"`:
					id = `"` + id + `"`
				default:
					id = how.id
				}
				old := s.thief(b, sidName, proofName)
				if how.during != nil {
					how.during(s, b)
				}
				res, _ := old.do("POST", "/session-device/refresh", "Sec-Secure-Session-Id", id)
				if res.StatusCode != how.want || len(res.Cookies()) > 0 {
					t.Errorf("status %d, want %d; cookies %v", res.StatusCode, how.want, res.Cookies())
				}
				if challenged := res.Header.Get("Secure-Session-Challenge") != ""; challenged != (how.want == http.StatusForbidden) {
					t.Errorf("status %d with a challenge: %t", res.StatusCode, challenged)
				}
			})
		})
	}
}

// down has the store fail from now on.
func down(s *site, _ *browser) {
	s.fault.On(backendtest.OpAny, backendtest.Always, backendtest.Fail(errors.New("down")))
}

// TestSkipped: a browser that could not get a proof keeps its session.
func TestSkipped(t *testing.T) { inTime(t, skipped) }

func skipped(t *testing.T) {
	s := newSite(t, devicebound.Options{})
	b := s.login(t)
	time.Sleep(devicebound.DefaultLifetime)
	s.fault.On(backendtest.OpLoad, 1, backendtest.Fail(errors.New("down")))
	for range 2 { // by the device, and with the quota used up
		res, _ := b.do("GET", "/", "Secure-Session-Skipped", "quota_exceeded", "Sec-Fetch-Site", "cross-site")
		if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" || len(res.Cookies()) > 0 {
			t.Errorf("status %d, Retry-After %q, cookies %v", res.StatusCode, res.Header.Get("Retry-After"), res.Cookies())
		}
	}
	s.fault.Reset()
	s.fault.On(backendtest.OpLoad, 1, backendtest.Fail(errors.New("down")))
	if res, _ := b.do("GET", "/"); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("after a refresh that failed: status %d, want 503", res.StatusCode)
	}
	if b.gets("/", "ada bound=true"); s.alarms() != nil {
		t.Error("an outage sets off the alarm")
	}
}

// TestRenewWhileRefreshing: a renewal takes nothing from a proof, and a refresh that
// comes with the token of before ends no key.
func TestRenewWhileRefreshing(t *testing.T) { inTime(t, renewWhileRefreshing) }

func renewWhileRefreshing(t *testing.T) {
	s := newSite(t, devicebound.Options{})
	b := s.login(t)
	time.Sleep(2 * time.Minute)
	proof := b.cookie(proofName)
	b.do("GET", "/renew")
	if b.gets("/", "ada bound=true"); b.cookie(proofName) != proof {
		t.Error("a renewal has changed the proof")
	}
	time.Sleep(devicebound.DefaultLifetime)
	old := s.thief(b, sidName) // a tab whose request is on its way
	id := s.onlySession("ada")
	b.do("GET", "/renew")
	if res, _ := old.do("POST", "/session-device/refresh", "Sec-Secure-Session-Id", id); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("with the token of before: status %d, want 503", res.StatusCode)
	}
	b.gets("/", "ada bound=true")
}

// TestLostKey: who has lost the key can log in again, and is bound again.
func TestLostKey(t *testing.T) { inTime(t, lostKey) }

func lostKey(t *testing.T) {
	s := newSite(t, devicebound.Options{})
	b := s.login(t)
	b.device.Forget()
	time.Sleep(devicebound.DefaultLifetime)
	b.gets("/", " bound=false")
	b.gets("/login?user=ada", "ada bound=false")
	b.gets("/", "ada bound=true")
}

// TestLogins: who logs in again in a bound session stays bound by the same key; after
// a logout, there is another one, and no refresh by the old one ends it.
func TestLogins(t *testing.T) { inTime(t, logins) }

func logins(t *testing.T) {
	s := newSite(t, devicebound.Options{})
	b := s.login(t)
	for _, user := range []string{"ada", "grace", "ada"} {
		b.gets("/login?user="+user, user+" bound=true")
	}
	if b.device.Sessions() != 1 {
		t.Errorf("%d keys after other logins in the same session, want 1", b.device.Sessions())
	}
	first := s.onlySession("ada")
	b.gets("/again?user=", " bound=false") // a logout, and a message for the next page in a session of its own
	if b.cookie(proofName) != "" || b.cookie(sidName) == "" {
		t.Error("the proof of the session before stays beside that of the message")
	}
	b.gets("/login?user=ada", "ada bound=false")
	time.Sleep(devicebound.DefaultLifetime)
	b.gets("/", "ada bound=true") // by the new key, while the old one is told that it is over
	if b.device.Sessions() != 1 || s.onlySession("ada") == first {
		t.Errorf("%d keys, want that of the new session alone", b.device.Sessions())
	}
}

// TestBindOnce: of keys that are registered at the same time one is the session's.
func TestBindOnce(t *testing.T) { inTime(t, bindOnce) }

func bindOnce(t *testing.T) {
	s := newSite(t, devicebound.Options{})
	b := s.browser(t)
	b.client.Transport = s
	res, _ := b.do("GET", "/login?user=ada")
	challenge := challengeOf(t, res.Header.Get("Secure-Session-Registration"))
	var wg sync.WaitGroup
	statuses := make([]int, 4)
	for i := range statuses {
		client, token := s.thief(b, sidName), newES256(t).token(challenge, true)
		wg.Go(func() {
			res, _ := client.do("POST", "/session-device/bind", "Secure-Session-Response", token)
			statuses[i] = res.StatusCode
		})
	}
	wg.Wait()
	count := map[int]int{}
	for _, status := range statuses {
		count[status]++
	}
	if count[http.StatusOK] != 1 || count[http.StatusForbidden] != 3 {
		t.Errorf("statuses %v, want 200 once, and 403", statuses)
	}
}

// TestBindOfAnEndedSession: a logout is final, also for a key that is being registered.
func TestBindOfAnEndedSession(t *testing.T) { inTime(t, bindOfAnEndedSession) }

func bindOfAnEndedSession(t *testing.T) {
	s := newSite(t, devicebound.Options{})
	b := s.browser(t)
	b.client.Transport = s
	res, _ := b.do("GET", "/login?user=ada")
	challenge := challengeOf(t, res.Header.Get("Secure-Session-Registration"))
	s.fault.On(backendtest.OpUpdate, 1, func(context.Context, backendtest.Call) error {
		s.m.RevokeUser(t.Context(), "ada")
		return nil
	})
	res, _ = b.do("POST", "/session-device/bind", "Secure-Session-Response", newES256(t).token(challenge, true))
	if res.StatusCode != http.StatusForbidden || len(res.Cookies()) > 0 {
		t.Errorf("status %d, cookies %v; want 403 and none", res.StatusCode, res.Cookies())
	}
	b.gets("/", " bound=false")
}

// TestTokens: what is taken as a registration and as a signed challenge, and what is
// not.
func TestTokens(t *testing.T) {
	rsaKey, shortRSA := newRS256(t, 2048), newRS256(t, 1024)
	with := func(s *signer, head, body map[string]any) *signer {
		return &signer{alg: s.alg, key: s.key, head: head, body: body}
	}
	as := func(alg string, s *signer) *signer { return &signer{alg: alg, key: s.key, head: s.head} }
	es := newES256(t)
	for name, tc := range map[string]struct {
		first, then *signer
		quoted      bool
		bind, renew int
	}{
		"ES256":                    {first: es, then: es, bind: 200, renew: 200},
		"RS256":                    {first: rsaKey, then: rsaKey, bind: 200, renew: 200},
		"quoted":                   {first: es, then: es, quoted: true, bind: 200, renew: 200},
		"with an audience":         {first: with(es, nil, map[string]any{"aud": origin}), then: with(es, nil, map[string]any{"aud": origin, "iat": 1}), bind: 200, renew: 200},
		"another key":              {first: es, then: newES256(t), bind: 200, renew: 403},
		"RS256 by name only":       {first: es, then: as("RS256", es), bind: 200, renew: 403},
		"ES256 by name only":       {first: rsaKey, then: as("ES256", rsaKey), bind: 200, renew: 403},
		"none":                     {first: as("none", es), bind: 403},
		"HS256":                    {first: as("HS256", es), bind: 403},
		"a short key":              {first: shortRSA, bind: 403},
		"a point off the curve":    {first: with(es, map[string]any{"jwk": map[string]any{"kty": "EC", "crv": "P-256", "x": b64(make([]byte, 32)), "y": b64(make([]byte, 32))}}, nil), bind: 403},
		"the key of somebody else": {first: with(es, map[string]any{"jwk": newES256(t).jwk()}, nil), bind: 403},
		"another exponent":         {first: with(rsaKey, map[string]any{"jwk": map[string]any{"kty": "RSA", "n": rsaKey.jwk()["n"], "e": "Aw"}}, nil), bind: 403},
		"no key":                   {first: with(es, map[string]any{"jwk": nil}, nil), bind: 403},
		"another type":             {first: with(es, map[string]any{"typ": "JWT"}, nil), bind: 403},
		"an extension":             {first: with(es, map[string]any{"crit": []string{"b64"}}, nil), bind: 403},
		"another challenge":        {first: with(es, nil, map[string]any{"jti": "x"}), bind: 403},
		"a proof as the challenge": {first: es, then: es, bind: 200, renew: 403},
		"an old challenge":         {first: es, then: es, bind: 200, renew: 403},
		"another session's":        {first: es, then: es, bind: 200, renew: 403},
		"an old offer":             {first: es, bind: 403},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(t *testing.T) {
				s := newSite(t, devicebound.Options{})
				b := s.browser(t)
				b.client.Transport = s
				quote := func(text string) string {
					if tc.quoted {
						return `"` + text + `"`
					}
					return text
				}
				res, _ := b.do("GET", "/login?user=ada")
				challenge := challengeOf(t, res.Header.Get("Secure-Session-Registration"))
				if name == "an old offer" {
					time.Sleep(3 * time.Minute)
				}
				res, body := b.do("POST", "/session-device/bind", "Secure-Session-Response", quote(tc.first.token(challenge, true)))
				if res.StatusCode != tc.bind {
					t.Fatalf("bind: status %d, want %d: %s", res.StatusCode, tc.bind, body)
				}
				if (b.cookie(proofName) != "") != (tc.bind == 200) {
					t.Fatalf("bind: proof %q", b.cookie(proofName))
				}
				if tc.then == nil {
					return
				}
				id := s.onlySession("ada")
				res, _ = b.do("POST", "/session-device/refresh", "Sec-Secure-Session-Id", quote(id))
				challenge = challengeOf(t, res.Header.Get("Secure-Session-Challenge"))
				switch name {
				case "a proof as the challenge":
					challenge = b.cookie(proofName)
				case "an old challenge":
					time.Sleep(2 * time.Minute)
				case "another session's":
					other := s.login(t)
					other.gets("/login?user=grace", "grace bound=true")
					res, _ := s.thief(other, sidName).do("POST", "/session-device/refresh", "Sec-Secure-Session-Id", s.onlySession("grace"))
					challenge = challengeOf(t, res.Header.Get("Secure-Session-Challenge"))
				}
				res, _ = b.do("POST", "/session-device/refresh", "Sec-Secure-Session-Id", quote(id), "Secure-Session-Response", quote(tc.then.token(challenge, false)))
				if res.StatusCode != tc.renew || (len(res.Cookies()) == 1) != (tc.renew == 200) {
					t.Errorf("refresh: status %d, cookies %v, want %d", res.StatusCode, res.Cookies(), tc.renew)
				}
			})
		})
	}
}

// TestProcesses: one process binds, another gives the challenge, a third takes it; a
// clock may be a minute off.
func TestProcesses(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) backend.Store{
		"memory": func(t *testing.T) backend.Store { return memoryStore(t) },
		"file":   func(t *testing.T) backend.Store { return fileStore(t) },
	} {
		t.Run(name, func(t *testing.T) {
			store := open(t)
			sites := make([]*site, 3)
			for i := range sites {
				sites[i] = newSiteOn(t, store, devicebound.Options{})
			}
			b := sites[0].browser(t)
			b.device = sessiontest.NewDevice(b.jar, &inTurn{sites: sites})
			b.client.Transport = b.device
			b.gets("/login?user=ada", "ada bound=false")
			b.gets("/", "ada bound=true")
			for range 4 {
				b.dropProof()
				b.gets("/", "ada bound=true")
			}
		})
	}
}

func fileStore(t *testing.T) backend.Store {
	t.Helper()
	store, err := file.New(t.TempDir(), file.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

// TestOff: it is switched off without logging anybody out, and browsers forget their
// keys.
func TestOff(t *testing.T) {
	store := memoryStore(t)
	on := newSiteOn(t, store, devicebound.Options{})
	b := on.login(t)
	off := newSiteOn(t, store, devicebound.Options{Off: true})
	plain := off.thief(b, sidName)
	plain.gets("/", "ada bound=false")
	if res, _ := plain.do("POST", "/session-device/refresh", "Sec-Secure-Session-Id", on.onlySession("ada")); res.StatusCode != http.StatusNotFound {
		t.Errorf("refresh: status %d, want 404", res.StatusCode)
	}
	grace := off.browser(t)
	grace.client.Transport = off // to look at the offer
	if res, _ := grace.do("GET", "/login?user=grace"); res.Header.Get("Secure-Session-Registration") != "" {
		t.Error("it is offered")
	}
	offer := forgedOffer(t, grace.cookie(sidName), off.onlySession("grace")) // of before it was switched off, say
	if res, _ := grace.do("POST", "/session-device/bind", "Secure-Session-Response", newES256(t).token(offer, true)); res.StatusCode != http.StatusForbidden {
		t.Errorf("bind: status %d, want 403", res.StatusCode)
	}
}

func TestNewRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*session.Config)
		o      devicebound.Options
		want   string
	}{
		"Domain":      {change: func(c *session.Config) { c.Cookie.Domain = "example.com" }, want: "Cookie.Domain"},
		"Partitioned": {change: func(c *session.Config) { c.Cookie.Partitioned = true }, want: "Cookie.Partitioned"},
		"Insecure":    {change: func(c *session.Config) { c.Cookie.Insecure = true }, want: "Cookie.Insecure"},
		"no cookie":   {change: func(c *session.Config) { c.Transport = session.HeaderTransport("X-T") }, want: "Transport"},
		"Disabled":    {change: func(c *session.Config) { c.Disabled = true }, want: "Disabled"},
		"Lifetime":    {o: devicebound.Options{Lifetime: 3*time.Minute - 1}, want: "Options.Lifetime"},
		"too long":    {o: devicebound.Options{Lifetime: 401 * 24 * time.Hour}, want: "Options.Lifetime"},
		"Path":        {o: devicebound.Options{Path: "x"}, want: "Options.Path"},
		"Path, dots":  {o: devicebound.Options{Path: "/../x"}, want: "Options.Path"},
		"Path, quote": {o: devicebound.Options{Path: `/"x`}, want: "Options.Path"},
		"Path, away":  {change: func(c *session.Config) { c.Cookie.Path = "/app" }, o: devicebound.Options{Path: "/application"}, want: "Options.Path"},
		"Cookie":      {o: devicebound.Options{Cookie: sidName}, want: "Options.Cookie"},
		"Cookie, bad": {o: devicebound.Options{Cookie: "a b"}, want: "Options.Cookie"},
	} {
		cfg := session.Config{SweepEvery: -1}
		if tc.change != nil {
			tc.change(&cfg)
		}
		m, err := session.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := devicebound.New(m, tc.o); b != nil || err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want an error that names %s", name, err, tc.want)
		}
		m.Close()
	}
	m, err := session.New(session.Config{Cookie: cookie.Options{Name: "__Host-sid", SameSite: http.SameSiteStrictMode}})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if _, err := devicebound.New(m, devicebound.Options{}); err != nil {
		t.Errorf("__Host-: %v", err)
	}
	if _, err := devicebound.New(m, devicebound.Options{}); err == nil {
		t.Error("a second binding of one manager is no error")
	}
}

// TestBoundWithoutSession: there is nothing to be bound.
func TestBoundWithoutSession(t *testing.T) {
	if devicebound.Bound(httptest.NewRequest("GET", origin, nil)) {
		t.Error("bound without a session")
	}
}

// TestRequestWithoutURL: a POST that was made by hand is the program's.
func TestRequestWithoutURL(t *testing.T) {
	s, w := newSite(t, devicebound.Options{}), httptest.NewRecorder()
	s.m.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTeapot)
	})).ServeHTTP(w, &http.Request{Method: http.MethodPost, Header: http.Header{}})
	if w.Code != http.StatusTeapot {
		t.Errorf("status %d, want the program's", w.Code)
	}
}

// With Start the offer is in the header at once: not any more if the program undoes
// the login, or if it cannot be stored.
func TestOfferOfAStartedLogin(t *testing.T) {
	s := newSite(t, devicebound.Options{})
	w := httptest.NewRecorder()
	started, err := s.m.Start(w, httptest.NewRequest("POST", origin+"/login", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer started.Release()
	offered := func(when string, want bool) {
		t.Helper()
		if got := w.Header().Get("Secure-Session-Registration") != ""; got != want {
			t.Errorf("%s: offered %t, want %t", when, got, want)
		}
	}
	offered("at first", false)
	started.SetUser("ada")
	offered("after the login", true)
	started.SetUser("")
	offered("after it was undone", false)
	started.SetUser("ada")
	offered("after another", true)
	s.fault.On(backendtest.OpCreate, backendtest.Always, backendtest.Fail(errors.New("down")))
	if err := started.Save(); err == nil {
		t.Error("Save is no error")
	}
	offered("after a Save that failed", false)
}

// TestTwoManagers: of two managers in one program each binds its own sessions, and
// what one has to say of a response takes nothing from the other.
func TestTwoManagers(t *testing.T) { inTime(t, twoManagers) }

func twoManagers(t *testing.T) {
	shop := newSite(t, devicebound.Options{Path: "/shop"}, func(c *session.Config) { c.Cookie.Name = "shop" })
	staff := newSite(t, devicebound.Options{Path: "/staff"}, func(c *session.Config) { c.Cookie.Name = "staff" })
	program := shop.m.Middleware(staff.m.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, admin := shop.m.FromContext(r), staff.m.FromContext(r)
		switch r.URL.Path {
		case "/visit":
			s.Set("cart", "tea")
		case "/admin":
			admin.SetUser("root")
		case "/both":
			s.SetUser("ada")
			admin.SetUser("root")
		}
		fmt.Fprintf(w, "%s %t, %s %t, %t", s.User(), shop.binding.Bound(r), admin.User(), staff.binding.Bound(r), devicebound.Bound(r))
	})))
	for _, tc := range []struct {
		paths []string
		want  string
	}{
		{[]string{"/visit", "/admin"}, " false, root true, true"}, // the inner one, beside a session of the outer one
		{[]string{"/both"}, "ada true, root true, true"},
	} {
		jar, _ := cookiejar.New(nil)
		device := sessiontest.NewDevice(jar, served{program})
		b := &browser{t, jar, device, &http.Client{Jar: jar, Transport: device}}
		for _, path := range tc.paths {
			b.do("GET", path)
		}
		b.gets("/", tc.want)
	}
	r := httptest.NewRequest("GET", origin, nil)
	if shop.binding.Bound(r) {
		t.Error("bound without a session")
	}
	b := staff.browser(t)
	b.do("GET", "/login?user=root")
	r.AddCookie(&http.Cookie{Name: "staff", Value: b.cookie("staff")})
	staff.m.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !staff.binding.Bound(r) || shop.binding.Bound(r) {
			t.Errorf("of staff's session: staff's binding says %t, shop's %t", staff.binding.Bound(r), shop.binding.Bound(r))
		}
	})).ServeHTTP(httptest.NewRecorder(), r)
}

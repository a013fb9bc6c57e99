package behaviour

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chisession/session"
)

// cookieheaderCases are about which of the cookies in a request counts.
var cookieheaderCases = []behaviour{
	each("of two cookies the first live one wins", twoCookies),
	each("four tokens are tried", fourAreTried),
	each("two live sessions are told to the hook", twoLiveSessions),
	alone("a huge header is bounded work", hugeHeader),
}

func twoCookies(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.basics()
	one, two := a.browser(t), a.browser(t)
	one.get("/set?k=who&v=one")
	two.get("/set?k=who&v=two")
	one.get("/set?k=only&v=one")
	send := func(path string, tokens ...string) response {
		t.Helper()
		b := a.browser(t)
		r := b.request("GET", path)
		for _, token := range tokens {
			r.AddCookie(&http.Cookie{Name: a.name, Value: token})
		}
		a.calls.Reset()
		return b.do(r)
	}
	send("/get?k=who", UnknownToken(), two.token()).want(t, 200, "two")
	a.wantCalls(t, "Load Load")
	send("/get?k=who", "malformed", two.token()).want(t, 200, "two")
	a.wantCalls(t, "Load")
	send("/get?k=who", one.token(), two.token()).want(t, 200, "one")
	a.wantCalls(t, "Load")
	send("/get?k=who", two.token(), one.token()).want(t, 200, "two")
	send("/get?k=only", two.token(), one.token()).want(t, 200, "<nil>")
	send("/get?k=who", two.token(), two.token()).want(t, 200, "two")
	a.wantCalls(t, "Load")
	send("/set?k=written&v=1", UnknownToken(), one.token(), two.token()).wantNoCookie(t)
	a.wantCalls(t, "Load Load Update")
	one.get("/get?k=written").want(t, 200, "1")
	two.get("/get?k=written").want(t, 200, "<nil>")

	// A dead session in front, with a secret that is not its own.
	forged := one.token()[:60] + UnknownToken()[60:]
	send("/get?k=who", forged, two.token()).want(t, 200, "two")
	if a.Stats().Tossed == 0 {
		t.Error("requests with several tokens were not counted")
	}
}

// discard is a ResponseWriter that drops all.
type discard struct{}

func (discard) Header() http.Header { return http.Header{} }

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func (discard) WriteHeader(int) {}

// fourAreTried: junk and three dead tokens do not hide the live
// session behind them, wherever they stand; a fifth well-formed one is not
// tried.
func fourAreTried(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.basics()
	b := a.browser(t)
	b.get("/set?k=a&v=live")
	junk := []string{"", "x", "%20", `"` + b.token() + `"`, strings.Repeat("A", 5000), b.token()[:63], "deleted"}
	for at := range 5 {
		var all []string
		for i := range 4 {
			if all = append(all, junk...); i == at {
				all = append(all, b.token())
			} else {
				all = append(all, UnknownToken())
			}
		}
		if at == 4 {
			all = append(all, b.token())
		}
		a.calls.Reset()
		r := a.browser(t).request("GET", "/get?k=a")
		r.Header.Set("Cookie", a.name+"="+strings.Join(all, "; "+a.name+"="))
		want := map[bool]string{true: "live", false: "<nil>"}[at < 4]
		a.browser(t).do(r).want(t, 200, want)
		a.wantCalls(t, strings.Repeat("Load ", min(at+1, 4)))
	}
}

// twoLiveSessions: the first one counts, and the hook is told
// once a request, with the ID of the second.
func twoLiveSessions(t *testing.T, k Kind) {
	var rejected rejections
	m := newManager(t, session.Config{Store: k.open(t), On: rejected.on})
	_, one := visit(m, "", func(s *session.Session) { s.Set("who", "one") })
	_, two := visit(m, "", func(s *session.Session) { s.Set("who", "two") })
	for _, tt := range [][3]string{{one, two, "one"}, {two, one, "two"}} {
		header := http.Header{"Cookie": {"beegosessionID=" + tt[0] + "; beegosessionID=" + tt[1] + "; beegosessionID=" + tt[0]}}
		res := serve(m, header, func(s *session.Session) {
			if got := s.Get("who"); got != tt[2] {
				t.Errorf("the session is that of %v, want the first, %s", got, tt[2])
			}
		})
		if res.Header["Set-Cookie"] != nil {
			t.Error("the response changes a cookie")
		}
		rejected.want(t, idOf(t, tt[1]).String(), session.ReasonTossed, 1)
	}
}

// hugeHeader sends what net/http lets serve at most, a megabyte, and more
// than that past it.
func hugeHeader(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.basics()
	b := a.browser(t)
	b.get("/set?k=a&v=value")
	send := func(cookies string) response {
		t.Helper()
		var w *httptest.ResponseRecorder
		took := least(time.Second, func() {
			a.calls.Reset()
			w = httptest.NewRecorder()
			r := httptest.NewRequest("GET", "https://app.test/get?k=a", nil)
			r.Header["Cookie"] = []string{cookies}
			a.router.ServeHTTP(w, r)
		})
		if took > time.Second {
			t.Errorf("a request with %d bytes of cookies took %v at least", len(cookies), took)
		}
		return response{status: w.Code, body: w.Body.String(), setCookie: w.Header()["Set-Cookie"]}
	}
	var unknown, others strings.Builder
	for range 1000 {
		unknown.WriteString(a.name + "=" + UnknownToken() + "; ")
	}
	for others.Len() < 1<<20 {
		fmt.Fprintf(&others, "c%d=%s; ", others.Len(), strings.Repeat("v", 100))
	}
	live := a.name + "=" + b.token()

	send(unknown.String()+live).want(t, 200, "<nil>") // after four, it stops looking
	a.wantCalls(t, "Load Load Load Load")
	send(strings.Repeat(live+"; ", 1000)).want(t, 200, "value")
	a.wantCalls(t, "Load")
	send(others.String()+live).want(t, 200, "value")
	a.wantCalls(t, "Load")
	send(strings.Repeat(a.name+"=x; ", 1<<17)+live).want(t, 200, "value")
	a.wantCalls(t, "Load")
	send(strings.Repeat(";", 1<<20)+live).want(t, 200, "value")
	send(a.name+"="+strings.Repeat("A", 1<<20)).want(t, 200, "<nil>")
	a.wantCalls(t, "")

	// Looking serve it takes no memory.
	r := httptest.NewRequest("GET", "/ignore", nil)
	r.Header["Cookie"] = []string{others.String() + strings.Repeat(a.name+"=x; ", 1000)}
	small := httptest.NewRequest("GET", "/ignore", nil)
	measure := func(r *http.Request) float64 {
		return testing.AllocsPerRun(20, func() { a.router.ServeHTTP(discard{}, r) })
	}
	if with, without := measure(r), measure(small); with > without+2 {
		t.Errorf("a megabyte of cookies costs %v allocations, none %v", with, without)
	}
}
